// openapi-fetch with the types of openapi-typescript: tsc checks every address, parameter and member below.
import createClient from "openapi-fetch";
import type { paths } from "./foretell.js";

declare const process: { argv: string[] };
const [url, row] = [process.argv[2], JSON.parse(process.argv[3])] as [string, number[]];
const client = createClient<paths>({ baseUrl: url });
const params = { path: { name: "iris" } };
const asked = await client.POST("/api/v1/models/{name}/predictions/", {
  params: { ...params, header: { Prefer: "wait=20" } },
  body: { features: row },
});
if (!asked.data || !("id" in asked.data) || asked.data.output?.kind !== "classification") throw new Error("no answer");
const read = await client.GET("/api/v1/predictions/{prediction_id}/", { params: { path: { prediction_id: asked.data.id } } });
if (read.data?.output?.kind !== "classification") throw new Error("no answer");
const refused = await client.POST("/api/v1/models/{name}/predictions/", { params, body: { features: row.slice(0, 2) } });
const models = await client.GET("/api/v1/models/");
console.log(JSON.stringify({
  models: models.data?.results.map((model) => model.name).sort(),
  label: asked.data.output.label,
  read: read.data.output.label,
  typed: true,
  refused: refused.error?.code,
}));
