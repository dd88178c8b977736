"""Samples for clients that take any action by its name; all sign with RPC 1.0.

The vendor's packages: npm @alicloud/pop-core, Maven aliyun-java-sdk-core, Composer alibabacloud/client, NuGet
aliyun-net-sdk-core. Go needs its standard library alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from bulkseed.wire.message import API_VERSION
from bulkseed.wire.samples.sketch import KEY_ID, KEY_SECRET, Sketch, variable


def typescript(sketch: Sketch) -> str:
    """Return a module for @alicloud/pop-core."""
    return f"""import RPCClient from "@alicloud/pop-core";

function env(name: string): string {{
  const value = process.env[name];
  if (!value) throw new Error(name + " is not set");
  return value;
}}

const client = new RPCClient({{
  accessKeyId: env("{KEY_ID}"),
  accessKeySecret: env("{KEY_SECRET}"),
  endpoint: {_text(sketch.endpoint)},
  apiVersion: "{API_VERSION}",
}});
client
  .request({_text(sketch.action)}, {{
{_lines(sketch, "    {name}: {value},", _text, 'env("{name}")')}  }}, {{ method: "POST" }})
  .then((reply) => console.log(JSON.stringify(reply)));"""


def go(sketch: Sketch) -> str:
    """Return a program that needs Go's standard library alone."""
    return f"""package main

import (
\t"crypto/hmac"
\t"crypto/rand"
\t"crypto/sha1"
\t"encoding/base64"
\t"encoding/hex"
\t"io"
\t"log"
\t"net/http"
\t"net/url"
\t"os"
\t"strings"
\t"time"
)

func env(name string) string {{
\tvalue := os.Getenv(name)
\tif value == "" {{
\t\tlog.Fatal(name + " is not set")
\t}}
\treturn value
}}

func main() {{
\tnonce := make([]byte, 16)
\tif _, err := rand.Read(nonce); err != nil {{
\t\tlog.Fatal(err)
\t}}
\tform := url.Values{{}}
{_lines(sketch, chr(9) + "form.Set({name}, {value})", _text, 'env("{name}")')}\
\tform.Set("Action", "{sketch.action}")
\tform.Set("Version", "{API_VERSION}")
\tform.Set("Format", "JSON")
\tform.Set("AccessKeyId", env("{KEY_ID}"))
\tform.Set("SignatureMethod", "HMAC-SHA1")
\tform.Set("SignatureVersion", "1.0")
\tform.Set("SignatureNonce", hex.EncodeToString(nonce))
\tform.Set("Timestamp", time.Now().UTC().Format("2006-01-02T15:04:05Z"))
\tcanonical := strings.ReplaceAll(form.Encode(), "+", "%20")
\tmac := hmac.New(sha1.New, []byte(env("{KEY_SECRET}")+"&"))
\tmac.Write([]byte("POST&%2F&" + url.QueryEscape(canonical)))
\tform.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
\treply, err := http.PostForm({_text(sketch.endpoint + "/")}, form)
\tif err != nil {{
\t\tlog.Fatal(err)
\t}}
\tdefer reply.Body.Close()
\tif _, err := io.Copy(os.Stdout, reply.Body); err != nil {{
\t\tlog.Fatal(err)
\t}}
\tif reply.StatusCode != 200 {{
\t\tos.Exit(1)
\t}}
}}"""


def java(sketch: Sketch) -> str:
    """Return a class for aliyun-java-sdk-core."""
    return f"""import com.aliyuncs.*;
import com.aliyuncs.http.*;
import com.aliyuncs.profile.DefaultProfile;
import java.util.Objects;

public class Call {{
  static String env(String name) {{
    return Objects.requireNonNull(System.getenv(name), name + " is not set");
  }}

  public static void main(String[] arguments) throws Exception {{
    IAcsClient client = new DefaultAcsClient(
        DefaultProfile.getProfile({_text(sketch.region)}, env("{KEY_ID}"), env("{KEY_SECRET}")));
    CommonRequest request = new CommonRequest();
    request.setSysMethod(MethodType.POST);
    request.setSysProtocol(ProtocolType.{sketch.scheme.upper()});
    request.setSysDomain({_text(sketch.host)});
    request.setSysVersion("{API_VERSION}");
    request.setSysAction({_text(sketch.action)});
{_lines(sketch, "    request.putBodyParameter({name}, {value});", _text, 'env("{name}")')}\
    System.out.println(client.getCommonResponse(request).getData());
  }}
}}"""


def php(sketch: Sketch) -> str:
    """Return a script for alibabacloud/client."""
    return f"""<?php
require 'vendor/autoload.php';
use AlibabaCloud\\Client\\AlibabaCloud;

function env(string $name): string {{
    return getenv($name) ?: exit("$name is not set\\n");
}}

AlibabaCloud::accessKeyClient(env('{KEY_ID}'), env('{KEY_SECRET}'))
    ->regionId({_php(sketch.region)})->asDefaultClient();
echo AlibabaCloud::rpc()->product('Kms')->version('{API_VERSION}')->action({_php(sketch.action)})
    ->scheme('{sketch.scheme}')->host({_php(sketch.host)})->method('POST')
    ->options(['form_params' => [
{_lines(sketch, "        {name} => {value},", _php, "env('{name}')")}    ]])->request();"""


def csharp(sketch: Sketch) -> str:
    """Return a program for aliyun-net-sdk-core."""
    return f"""using System;
using System.Text;
using Aliyun.Acs.Core;
using Aliyun.Acs.Core.Http;
using Aliyun.Acs.Core.Profile;

static string Env(string name) =>
    Environment.GetEnvironmentVariable(name) ?? throw new Exception(name + " is not set");

var client = new DefaultAcsClient(
    DefaultProfile.GetProfile({_text(sketch.region)}, Env("{KEY_ID}"), Env("{KEY_SECRET}")));
var request = new CommonRequest {{
    Method = MethodType.POST,
    Protocol = ProtocolType.{sketch.scheme.upper()},
    Domain = {_text(sketch.host)},
    Version = "{API_VERSION}",
    Action = {_text(sketch.action)},
}};
{_lines(sketch, "request.AddBodyParameters({name}, {value});", _text, 'Env("{name}")')}\
Console.WriteLine(Encoding.UTF8.GetString(client.GetCommonResponse(request).HttpResponse.Content));"""


def _lines(sketch: Sketch, line: str, quote: Callable[[str], str], env: str) -> str:
    """Return a line for each parameter; what is secret is read with `env`."""
    values = {name: quote(text) for name, text in sketch.parameters.items()}
    values |= {name: env.format(name=variable(name)) for name in sketch.secrets}
    return "".join(line.format(name=quote(name), value=value) + "\n" for name, value in values.items())


def _text(text: str) -> str:
    """Return a literal: JSON's escapes mean the same in TypeScript, Go, Java and C#."""
    return json.dumps(text, ensure_ascii=False)


def _php(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
