// Runs a scenario with npm @alicloud/pop-core; see test_witnesses.py.
const Core = require("@alicloud/pop-core");

async function main() {
  const given = JSON.parse(require("fs").readFileSync(0));
  const client = new Core({
    accessKeyId: given.id,
    accessKeySecret: given.secret,
    endpoint: `http://${given.host}`,
    apiVersion: "2016-01-20",
  });
  const known = {}, answers = [];
  for (const [action, parameters] of given.steps) {
    const filled = {};
    for (const [name, value] of Object.entries(parameters)) {
      filled[name] = value[0] === "$" && value.slice(1) in known ? known[value.slice(1)] : value;
    }
    try {
      const body = await client.request(action, filled, { method: "POST" });
      Object.assign(known, body, body.KeyMetadata);
      answers.push([null, body]);
    } catch (error) {
      answers.push([error.code || error.name, {}]);
    }
  }
  console.log(JSON.stringify(answers));
}

main();
