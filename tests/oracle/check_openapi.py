#!/usr/bin/env python3
"""Checks recorded exchanges against Twilio's OpenAPI files.

    check_openapi.py [--refused-too] EXCHANGES.jsonl OPENAPI_DIR

EXCHANGES.jsonl: one exchange a line, as the simulator records it (`Settings.record`) or as any
proxy can: {product, method, path, query, request_form, status, response}; query and request_form
are objects or lists of [name, value].
OPENAPI_DIR: twilio_flex_v1.json, twilio_proxy_v1.json, twilio_chat_v2.json, ...

--refused-too: requests that were answered with an error are held to the same rules, for exchanges of a
client that means to ask for nothing wrong.

Of a request: the endpoint exists, parameters are known, required ones are there, and values have
the type, enum and pattern. Of a 2xx reply: the status is the endpoint's, and the body satisfies
its schema, with no field the schema does not have. Prints each violation once, with the number of
times; exits 1 if there is any, 2 if nothing was checked. Needs nothing but Python.
"""

import collections
import datetime
import json
import pathlib
import re
import sys
import urllib.parse

FILES = {
    "flex-api": "twilio_flex_v1.json",
    "proxy": "twilio_proxy_v1.json",
    "chat": "twilio_chat_v2.json",
    "conversations": "twilio_conversations_v1.json",
    "taskrouter": "twilio_taskrouter_v1.json",
}


class Spec:
    def __init__(self, path):
        self.doc = json.loads(path.read_text())
        self.routes = []
        for template, item in self.doc["paths"].items():
            pattern = re.sub(r"\{[^}]+\}", "([^/]+)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}"))
            names = re.findall(r"\{([^}]+)\}", template)
            self.routes.append((template, re.compile(pattern), names, item))
        # A literal segment wins over a parameter.
        self.routes.sort(key=lambda route: route[0].count("{"))

    def find(self, method, path):
        for template, pattern, names, item in self.routes:
            found = pattern.fullmatch(path)
            if found and method.lower() in item:
                values = [urllib.parse.unquote(value) for value in found.groups()]
                shared = item.get("parameters", [])
                operation = item[method.lower()]
                return template, operation, shared, dict(zip(names, values))
        return None

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.doc
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        return schema


def is_time(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        return False
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def is_uri(text):
    parts = urllib.parse.urlsplit(text)
    return bool(parts.scheme and parts.netloc)


def check_value(spec, schema, value, at):
    """A JSON value against a schema: yields (pointer, what is wrong)."""
    schema = spec.resolve(schema)
    if value is None:
        # A schema that says nothing ("any") takes null.
        if schema.get("nullable") or not (set(schema) - {"description", "example", "x-twilio"}):
            return
        yield at, "null, and not nullable"
        return
    kind = schema.get("type")
    types = {
        "string": lambda v: isinstance(v, str),
        "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
        "boolean": lambda v: isinstance(v, bool),
        "array": lambda v: isinstance(v, list),
        "object": lambda v: isinstance(v, dict),
    }
    if kind in types and not types[kind](value):
        yield at, f"is {type(value).__name__}, not {kind}"
        return
    if isinstance(value, str):
        yield from check_text(schema, value, at)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            yield from check_value(spec, schema["items"], item, at + "/*")
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name in schema.get("required", []):
            if name not in value:
                yield f"{at}/{name}", "missing, and required"
        for name, item in value.items():
            if name in known:
                yield from check_value(spec, known[name], item, f"{at}/{name}")
            else:
                yield f"{at}/{name}", "a field the schema does not have"
    if isinstance(value, dict) and schema.get("format") == "uri-map":
        for name, item in value.items():
            if item is not None and not (isinstance(item, str) and is_uri(item)):
                yield f"{at}/{name}", "not a URI"


def check_text(schema, text, at):
    if "enum" in schema and text not in schema["enum"]:
        yield at, f"{text!r} is not one of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], text):
        yield at, f"{text!r} does not match {schema['pattern']}"
    if "minLength" in schema and len(text) < schema["minLength"]:
        yield at, "too short"
    if "maxLength" in schema and len(text) > schema["maxLength"]:
        yield at, "too long"
    if schema.get("format") == "date-time" and not is_time(text):
        yield at, f"{text!r} is no ISO 8601 time"
    if schema.get("format") == "uri" and not is_uri(text):
        yield at, f"{text!r} is no URI"


def check_form_value(spec, schema, text, at):
    """A form value is text: its type is looked at as text."""
    schema = spec.resolve(schema)
    kind = schema.get("type")
    if kind == "array":
        yield from check_form_value(spec, schema.get("items", {}), text, at)
    elif kind == "integer" and not re.fullmatch(r"-?\d+", text):
        yield at, f"{text!r} is no integer"
    elif kind == "boolean" and text not in ("true", "false"):
        yield at, f"{text!r} is no boolean"
    elif kind in (None, "object"):
        # "any": JSON text.
        try:
            json.loads(text)
        except ValueError:
            yield at, "is no JSON text"
    else:
        yield from check_text(schema, text, at)


def pairs(given):
    if isinstance(given, dict):
        return [(name, v) for name, value in given.items() for v in (value if isinstance(value, list) else [value])]
    return [tuple(pair) for pair in given or []]


def check_request(spec, operation, shared, values, exchange):
    declared = {(p["in"], p["name"]): p for p in shared + operation.get("parameters", [])}
    for name, text in values.items():
        parameter = declared.get(("path", name))
        if parameter:
            yield from check_form_value(spec, parameter["schema"], text, f"path {name}")
    query = pairs(exchange.get("query"))
    for name, text in query:
        parameter = declared.get(("query", name))
        if parameter is None:
            yield f"query {name}", "unknown parameter"
        else:
            yield from check_form_value(spec, parameter["schema"], text, f"query {name}")
            size = spec.resolve(parameter["schema"]).get("maximum")
            if name == "PageSize" and size and int(text) > size:
                yield "query PageSize", f"over {size}"
    for (where, name), parameter in declared.items():
        if where == "query" and parameter.get("required") and name not in dict(query):
            yield f"query {name}", "missing, and required"
    form = pairs(exchange.get("request_form"))
    contents = operation.get("requestBody", {}).get("content", {})
    schema = spec.resolve(next(iter(contents.values()))["schema"]) if contents else {}
    known = schema.get("properties", {})
    for name, text in form:
        if name in known:
            yield from check_form_value(spec, known[name], text, f"form {name}")
        else:
            yield f"form {name}", "unknown parameter"
    for name in schema.get("required", []):
        if name not in dict(form):
            yield f"form {name}", "missing, and required"


def check_reply(spec, operation, exchange):
    status, responses = exchange["status"], operation["responses"]
    if str(status) not in responses:
        yield "status", f"{status}, and the endpoint has {', '.join(responses)}"
        return
    contents = responses[str(status)].get("content")
    body = exchange.get("response")
    if not contents:
        if body is not None:
            yield "response", "a body, and the endpoint has none"
        return
    yield from check_value(spec, next(iter(contents.values()))["schema"], body, "response")


def check_error(exchange):
    body = exchange.get("response")
    if not isinstance(body, dict):
        yield "response", "an error without a JSON body"
        return
    for name, kind in (("code", int), ("message", str), ("more_info", str), ("status", int)):
        if not isinstance(body.get(name), kind):
            yield f"response/{name}", f"an error's {name} is no {kind.__name__}"
    if body.get("status") != exchange["status"]:
        yield "response/status", "is not the HTTP status"


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--refused-too"]
    refused_too = len(arguments) < len(sys.argv) - 1
    if len(arguments) != 2:
        sys.exit(__doc__)
    directory = pathlib.Path(arguments[1])
    specs = {product: Spec(directory / name) for product, name in FILES.items()}
    violations, checked = collections.Counter(), collections.Counter()
    with open(arguments[0]) as lines:
        for line in lines:
            exchange = json.loads(line)
            product, method = exchange["product"], exchange["method"]
            path = exchange["path"]
            if product not in specs:
                violations[(f"{method} {product}{path}", "", "no OpenAPI file")] += 1
                continue
            found = specs[product].find(method, path)
            if found is None:
                violations[(f"{method} {product}{path}", "", "no such endpoint")] += 1
                continue
            template, operation, shared, values = found
            name = f"{method} {product}{template}"
            checked[name] += 1
            problems = []
            if exchange["status"] < 400 or refused_too:
                problems += check_request(specs[product], operation, shared, values, exchange)
            if exchange["status"] < 400:
                problems += check_reply(specs[product], operation, exchange)
            else:
                problems += check_error(exchange)
            for at, problem in problems:
                violations[(name, at, problem)] += 1
    for (name, at, problem), count in sorted(violations.items()):
        print(f"{name}: {at}: {problem} ({count} times)")
    print(f"{sum(checked.values())} exchanges, {len(checked)} endpoints, {len(violations)} violations")
    if not checked:
        sys.exit(2)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
