#!/usr/bin/env python3
"""Say of each file whether it is JSON that a schema lets pass, as Python's jsonschema sees it.

    tests/oracle/validate_json.py SCHEMA FILE...

Prints one JSON object: file -> null when it passes, else what is wrong.
"""

import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    verdicts = {}
    for name in sys.argv[2:]:
        try:
            with open(name, encoding="utf-8") as file:
                error = next(validator.iter_errors(json.load(file)), None)
            verdicts[name] = error and error.message
        except ValueError as error:
            verdicts[name] = str(error)
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
