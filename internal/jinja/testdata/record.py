"""Records in jinja.json what Jinja 3 makes of the templates there: python3 record.py, after adding {"template": …} to its cases.

The settings are those of the transformers library: an immutable sandbox, trim_blocks, lstrip_blocks, loop controls, tojson
without HTML escapes, raise_exception.
"""
import json
import os
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Generation(Extension):
    """{% generation %} marks, for training, what the model itself wrote."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jinja.json")
with open(path, encoding="utf-8") as f:
    golden = json.load(f)
lines = []
seen = set()
for case in golden["cases"]:
    template = case["template"]
    if template in seen:
        continue
    seen.add(template)
    record = {"template": template}
    if "differs" in case:  # why this one is not what Jinja makes of it
        record["differs"] = case["differs"]
    try:
        record["text"] = environment.from_string(template).render(**golden["variables"])
    except Exception as e:
        record["error"] = True
        if "-v" in sys.argv:
            print(template, "->", type(e).__name__, e)
    lines.append(json.dumps(record, ensure_ascii=False))
with open(path, "w", encoding="utf-8") as f:
    f.write('{\n"variables": ' + json.dumps(golden["variables"], ensure_ascii=False) + ',\n"cases": [\n')
    f.write(",\n".join(lines) + "\n]}\n")
print(len(lines), "templates, Jinja", jinja2.__version__)
