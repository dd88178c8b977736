// Runs a scenario with npm @alicloud/kms20160120; see test_witnesses.py.
const kms = require("@alicloud/kms20160120");
const { Config } = require("@alicloud/rpc-client");

const lower = (name) => name[0].toLowerCase() + name.slice(1);

async function main() {
  const given = JSON.parse(require("fs").readFileSync(0));
  const client = new kms.default(new Config({
    accessKeyId: given.id,
    accessKeySecret: given.secret,
    endpoint: given.host,
    protocol: "http",
    regionId: "cn-hangzhou",
  }));
  const known = {}, answers = [];
  for (const [action, parameters] of given.steps) {
    const filled = {};
    for (const [name, value] of Object.entries(parameters)) {
      filled[lower(name)] = value[0] === "$" && value.slice(1) in known ? known[value.slice(1)] : value;
    }
    try {
      const request = new kms[`${action}Request`](filled);
      const body = (await client[lower(action)](request)).toMap();
      Object.assign(known, body, body.KeyMetadata);
      answers.push([null, body]);
    } catch (error) {
      answers.push([(error.code || error.name).replace(/Error$/, ""), {}]); // this client adds the word
    }
  }
  console.log(JSON.stringify(answers));
}

main();
