// Runs a scenario with the Go SDK that Debian has (golang-github-denverdino-aliyungo-dev); see test_witnesses.py.
package main

import (
	"encoding/json"
	"net/url"
	"os"

	"github.com/denverdino/aliyungo/common"
	"github.com/denverdino/aliyungo/kms"
)

type given struct {
	Host, Id, Secret string
	Steps            [][2]json.RawMessage
}

func main() {
	var asked given
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	client := kms.NewClientWithEndpoint("http://"+asked.Host+"/", asked.Id, asked.Secret)
	known := map[string]interface{}{}
	answers := [][2]interface{}{}
	for _, step := range asked.Steps {
		var action string
		var parameters map[string]string
		if json.Unmarshal(step[0], &action) != nil || json.Unmarshal(step[1], &parameters) != nil {
			panic("a step that is none")
		}
		filled := url.Values{}
		for name, value := range parameters {
			if value[0] == '$' {
				value = known[value[1:]].(string)
			}
			filled.Set(name, value)
		}
		body := map[string]interface{}{}
		if err := client.Invoke(action, filled, &body); err != nil {
			code := err.Error()
			if refused, ok := err.(*common.Error); ok {
				code = refused.Code
			}
			answers = append(answers, [2]interface{}{code, map[string]string{}})
			continue
		}
		for name, value := range body {
			known[name] = value
		}
		if key, ok := body["KeyMetadata"].(map[string]interface{}); ok {
			known["KeyId"] = key["KeyId"]
		}
		answers = append(answers, [2]interface{}{nil, body})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
