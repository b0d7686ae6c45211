"""As much of kustomize as deploy/kubernetes uses, for machines without kubectl; a test compares the two where there is one."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]


def rendered(folder: Path) -> list[Manifest]:
    """Give what `kubectl kustomize` gives of a folder, in any order."""
    return _named(_built(folder, []))


def _built(folder: Path, before: list[Manifest]) -> list[Manifest]:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    made = list(before)
    for each in told.get("resources", ()):
        path = folder / each
        made += _built(path, []) if path.is_dir() else copy.deepcopy(list(yaml.safe_load_all(path.read_text())))
    for each in told.get("components", ()):
        made = _built(folder / each, made)
    for each in told.get("configMapGenerator", ()):
        _generate(made, folder, each)
    for each in told.get("labels", ()):
        _label(made, each["pairs"])
    for each in told.get("patches", ()):
        for manifest in made:
            if _is_meant(manifest, each["target"]):
                _patch(manifest, yaml.safe_load(each["patch"]))
    for each in told.get("images", ()):
        _set_image(made, each)
    return made


def _set_image(made: list[Manifest], told: dict[str, str]) -> None:
    for container in (container for manifest in made for container in _containers(manifest)):
        if container["image"].partition(":")[0] == told["name"]:
            container["image"] = f"{told.get('newName', told['name'])}:{told['newTag']}"


def _generate(made: list[Manifest], folder: Path, told: dict[str, Any]) -> None:
    data = dict(line.split("=", 1) for line in told.get("literals", ()))
    for file in told.get("envs", ()):
        data |= dict(line.split("=", 1) for line in (folder / file).read_text().splitlines())
    for file in told.get("files", ()):
        data[Path(file).name] = (folder / file).read_text()
    if told.get("behavior") == "merge":
        next(each for each in made if _is_meant(each, {"kind": "ConfigMap", "name": told["name"]}))["data"].update(data)
    else:
        made.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": told["name"]}, "data": data, "made": 1}
        )


def _label(made: list[Manifest], pairs: dict[str, str]) -> None:
    for manifest in made:
        manifest["metadata"].setdefault("labels", {}).update(pairs)
        spec = manifest.get("spec", {})
        for each in (_template(manifest), spec.get("jobTemplate"), *spec.get("volumeClaimTemplates", ())):
            if each:
                each.setdefault("metadata", {}).setdefault("labels", {}).update(pairs)


def _is_meant(manifest: Manifest, target: dict[str, str]) -> bool:
    return (
        manifest["kind"] == target["kind"]
        and target.get("name", manifest["metadata"]["name"]) == manifest["metadata"]["name"]
    )


def _patch(manifest: Manifest, operations: list[dict[str, Any]]) -> None:
    for each in operations:
        *way, last = each["path"].strip("/").split("/")
        place: Any = manifest
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if isinstance(place, list) and each["op"] == "add":
            place.insert(int(last), each["value"])
        else:
            place[int(last) if isinstance(place, list) else last] = each["value"]


def _template(manifest: Manifest) -> Any:
    spec = manifest.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template")


def _containers(manifest: Manifest) -> list[Manifest]:
    template = _template(manifest)
    return template["spec"]["containers"] if template and "spec" in template else []


def _named(made: list[Manifest]) -> list[Manifest]:
    """Give generated maps the names of their contents, wherever they are referred to."""
    names = {}
    for each in made:
        if each.pop("made", None):
            digest = hashlib.sha256(json.dumps(each["data"], sort_keys=True).encode()).hexdigest()[:10]
            names[each["metadata"]["name"]] = f"{each['metadata']['name']}-{digest}"
            each["metadata"]["name"] = names[each["metadata"]["name"]]
    for manifest in made:
        for container in _containers(manifest):
            for source in container.get("envFrom", ()):
                source["configMapRef"]["name"] = names.get(
                    source["configMapRef"]["name"], source["configMapRef"]["name"]
                )
            for variable in container.get("env", ()):
                if chosen := variable.get("valueFrom", {}).get("configMapKeyRef"):
                    chosen["name"] = names.get(chosen["name"], chosen["name"])
        for volume in (_template(manifest) or {}).get("spec", {}).get("volumes", ()):
            if "configMap" in volume:
                volume["configMap"]["name"] = names.get(volume["configMap"]["name"], volume["configMap"]["name"])
    return made
