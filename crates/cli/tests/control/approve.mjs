// The owner lets in every device that waits.

import { owner, run } from "./lib.mjs";

await run(async (seen) => {
  const boss = await owner(seen);
  const { pending } = await boss.request("device.pair.list", {});
  for (const { requestId } of pending) await boss.request("device.pair.approve", { requestId });
  boss.stop();
  return { approved: pending.map((one) => ({ scopes: one.scopes, client: one.clientId })) };
});
