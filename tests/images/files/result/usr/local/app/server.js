// How the votes in PostgreSQL stand: a page, JSON at /api, and every second to whoever listens by socket.io.
// Written for tests.
const http = require("http");
const express = require("express");
const { Pool } = require("pg");
const { Server } = require("socket.io");

const pool = new Pool({ connectionString: "postgres://postgres:postgres@db/postgres" });
pool.on("error", (problem) => console.error("database:", problem.message));
const app = express();
const server = http.createServer(app);
const listeners = new Server(server);

async function count() {
  const found = await pool.query("SELECT vote, COUNT(id) AS count FROM votes GROUP BY vote");
  const counts = { a: 0, b: 0 };
  for (const row of found.rows) counts[row.vote] = Number(row.count);
  return counts;
}

app.get("/", (request, response) => {
  response.send(`<title>Result</title><pre id="counts"></pre><script src="/socket.io/socket.io.js"></script>
<script>io().on("scores", (counts) => { document.getElementById("counts").textContent = counts; });</script>`);
});
app.get("/api", (request, response) => {
  count().then((counts) => response.json(counts)).catch((problem) => response.status(503).send(problem.message));
});
setInterval(() => {
  count().then((counts) => listeners.emit("scores", JSON.stringify(counts))).catch(() => {});
}, 1000);
server.listen(process.env.PORT || 4000, () => console.log("listening"));
