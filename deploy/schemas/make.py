"""Makes the schemas that the files of deploy are held against, from the models that the projects publish.

The official schemas are megabytes, and those of Kubernetes let unknown keys pass. This makes small and strict ones:
of each official object exactly the keys that our files use, with their official types, the required ones required, and
everything else forbidden. A key that is used here and unknown there stops the making.

    pip download --no-deps kubernetes==34.1.0 kserve==0.21.0 docker-compose==1.29.2
    python deploy/schemas/make.py kubernetes-*.whl kserve-*.whl docker_compose-*.whl
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1]
SCALARS = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "object": {"type": ["string", "integer"]},  # a port by name or number; an amount with or without a unit
}
OBJECT = {"type": "object", "additionalProperties": False}


class Models:
    """The classes that OpenAPI Generator has written for a project, read from its wheel without running anything."""

    def __init__(self, *wheels: Path) -> None:
        self.classes: dict[str, dict[str, Any]] = {}
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as files:
                for name in files.namelist():
                    if re.search(r"/models/v\d\w*\.py$", name):
                        self._read(files.read(name).decode("utf-8"))

    def _read(self, source: str) -> None:
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                assigned = {n.targets[0].id: n.value for n in node.body if isinstance(n, ast.Assign)}
                if "openapi_types" in assigned:
                    types, keys = (ast.literal_eval(assigned[name]) for name in ("openapi_types", "attribute_map"))
                    required = set(re.findall(r"Invalid value for `(\w+)`, must not be `None`", ast.unparse(node)))
                    self.classes[node.name] = {
                        keys[attribute]: (kind, attribute in required) for attribute, kind in types.items()
                    }

    def schema(self, kind: str, value: Any, where: str) -> dict[str, Any]:
        """The strict schema of a type, as far as a value of ours uses it."""
        if match := re.fullmatch(r"list\[(.+)\]", kind):
            items: dict[str, Any] = {}
            for number, item in enumerate(value):
                items = merged(items, self.schema(match[1], item, f"{where}[{number}]"))
            return {"type": "array", "items": items}
        if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
            return {"type": "object", "additionalProperties": SCALARS[match[1]]}
        if kind in SCALARS:
            return SCALARS[kind]
        if kind not in self.classes:
            raise SystemExit(f"{where}: there is no official type {kind}")
        official = self.classes[kind]
        if unknown := sorted(set(value) - set(official)):
            raise SystemExit(f"{where}: {kind} has no {', '.join(unknown)}")
        properties = {key: self.schema(official[key][0], value[key], f"{where}.{key}") for key in value}
        required = sorted(key for key, (_, needed) in official.items() if needed)
        return OBJECT | {"required": required, "properties": properties}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One schema for values of one type that use different keys of it."""
    if not one or not other:
        return one or other
    found = dict(one)
    for key in ("properties", "items"):
        if key in one and key in other:
            inner = (one[key], other[key])
            found[key] = (
                merged(*inner)
                if key == "items"
                else {name: merged(inner[0].get(name, {}), inner[1].get(name, {})) for name in {**inner[0], **inner[1]}}
            )
    return found


def kubernetes(models: Models, path: Path) -> dict[str, Any]:
    """A schema for each kind of object in a file, by kind."""
    found: dict[str, dict] = {}
    for number, document in enumerate(yaml.safe_load_all(path.read_text(encoding="utf-8"))):
        version, kind = document["apiVersion"], document["kind"]
        name = version.split("/")[-1].replace("v", "V", 1)
        made = models.schema(f"{name}{kind}", document, f"{path.name}[{number}] {kind}")
        made["properties"] |= {"apiVersion": {"const": version}, "kind": {"const": kind}}
        made["required"] = sorted({*made["required"], "apiVersion", "kind", "metadata"})
        found[kind] = merged(found.get(kind, {}), made)
    return {kind: found[kind] for kind in sorted(found)}


def compose(wheel: Path, path: Path) -> dict[str, Any]:
    """The Compose specification, without its extensions, and of a service only the keys that our file uses."""
    with zipfile.ZipFile(wheel) as files:
        official = json.loads(files.read("compose/config/compose_spec.json"))
    services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    used = {key for service in services.values() for key in service}
    definitions = official["definitions"]
    if unknown := sorted(used - set(definitions["service"]["properties"])):
        raise SystemExit(f"{path.name}: a service has no {', '.join(unknown)}")
    properties = {key: definitions["service"]["properties"][key] for key in sorted(used)}
    needed = json.dumps(properties)
    shared = {}
    while more := {name for name in re.findall(r"#/definitions/(\w+)", needed) if name not in shared}:
        for name in more:
            shared[name] = definitions[name]
            needed += json.dumps(definitions[name])
    service = OBJECT | {"required": ["image"], "properties": properties}
    made = OBJECT | {
        "required": ["services"],
        "properties": {"services": {"type": "object", "additionalProperties": service}},
        "definitions": shared,
    }
    return without_extensions(made)


def without_extensions(value: Any) -> Any:
    """Without the pattern that lets any key pass that begins with x-."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not (key == "patternProperties" and set(item) == {"^x-"})}
        return {key: without_extensions(item) for key, item in kept.items()}
    return [without_extensions(item) for item in value] if isinstance(value, list) else value


def main(kubernetes_wheel: str, kserve_wheel: str, compose_wheel: str) -> None:
    """Write the three schemas."""
    models = Models(Path(kubernetes_wheel), Path(kserve_wheel))
    made = {
        "kubernetes": kubernetes(models, DEPLOY / "kubernetes.yaml"),
        "kserve": kubernetes(models, DEPLOY / "kserve.yaml"),
        "compose": compose(Path(compose_wheel), DEPLOY / "compose.yaml"),
    }
    for name, schema in made.items():
        path = DEPLOY / "schemas" / f"{name}.json"
        path.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
