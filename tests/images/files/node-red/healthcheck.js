// Healthy when the editor answers; the port is the one that Node-RED itself reads from the environment.
const request = require("http").get({ port: process.env.PORT || 1880, timeout: 4000 }, (answer) => {
  process.exit(answer.statusCode < 500 ? 0 : 1);
});
request.on("timeout", () => request.destroy(new Error("no answer")));
request.on("error", () => process.exit(1));
