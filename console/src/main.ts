// The console's beginning.
import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";

performance.mark("skerry-script");
mount(App, { target: document.getElementById("app")! });
