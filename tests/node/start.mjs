// Starts an eject with plain JSON and prints its receipt: the official SDK, and none of our code.
//
//   npm ci && TEMPORAL_ADDRESS=localhost:7233 node start.mjs '{"client_id": "...", "recipient": "age1...", ...}'
//
// Exit code 1 and one sentence on standard error where it is refused, or runs already.

import { Client, Connection } from "@temporalio/client";

const request = JSON.parse(process.argv[2]);
const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? "localhost:7233" });
const client = new Client({ connection, namespace: process.env.TEMPORAL_NAMESPACE ?? "default" });

try {
  const handle = await client.workflow.start("Eject", {
    workflowId: `eject-${request.client_id}`,
    taskQueue: "eject",
    workflowIdConflictPolicy: "FAIL",
    args: [request],
  });
  console.log(JSON.stringify({ started: handle.workflowId }));
  const receipt = await handle.result();
  console.log(JSON.stringify({ receipt }));
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
} finally {
  await connection.close();
}
