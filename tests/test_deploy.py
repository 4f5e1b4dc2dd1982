"""The files of deploy: each against its schema, strictly, and against each other. Nothing here starts a container."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
# Of `tensorflow_model_server --help`.
FLAGS = {
    "batching_parameters_file",
    "enable_batching",
    "file_system_poll_wait_seconds",
    "model_base_path",
    "model_config_file",
    "model_name",
    "monitoring_config_file",
    "port",
    "rest_api_port",
}
# Maps whose keys are ours to choose.
FREE = {"labels", "annotations", "matchLabels", "data", "requests", "limits", "selector", "services"}


def read(name: str) -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def schemas(name: str) -> dict:
    return json.loads((DEPLOY / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def check(name: str, document: dict) -> None:
    """Raises a ValidationError unless a document is what its kind allows."""
    schema = schemas(name)
    if name != "compose":
        if document.get("kind") not in schema:
            raise jsonschema.ValidationError(f"no kind {document.get('kind')}")
        schema = schema[document["kind"]]
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(document)


DOCUMENTS = [(name, document) for name in ("compose", "kubernetes", "kserve") for document in read(f"{name}.yaml")]
each_document = pytest.mark.parametrize(
    ("name", "document"), DOCUMENTS, ids=[f"{name}-{document.get('kind', 'file')}" for name, document in DOCUMENTS]
)


def mappings(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths to all mappings inside a value, itself included."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from mappings(inner, (*path, key))


def at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


@each_document
def test_it_is_what_its_schema_allows(name, document):
    check(name, document)


@each_document
def test_an_unknown_key_is_refused_wherever_it_stands(name, document):
    places = [path for path in mappings(document) if not (path and path[-1] in FREE)]
    assert places
    for path in places:
        changed = copy.deepcopy(document)
        at(changed, path)["replicaz"] = 3
        with pytest.raises(jsonschema.ValidationError):
            check(name, changed)


@each_document
def test_a_value_of_another_type_is_refused_wherever_it_stands(name, document):
    for path in mappings(document):
        for key, value in at(document, path).items():
            if isinstance(value, dict | list | bool | int):
                changed = copy.deepcopy(document)
                at(changed, path)[key] = [[2.5]]  # no text, no number, no mapping, and no list of any of these
                with pytest.raises(jsonschema.ValidationError):
                    check(name, changed)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("kubernetes", lambda it: it.update(kind="Deploiment")),
        ("kubernetes", lambda it: it.update(apiVersion="extensions/v1beta1")),
        ("kubernetes", lambda it: it.pop("metadata")),
        ("kubernetes", lambda it: it["spec"].pop("selector")),
        ("kubernetes", lambda it: it["spec"]["template"]["spec"].pop("containers")),
        ("kubernetes", lambda it: it["spec"]["template"]["spec"]["containers"][0].pop("name")),
        ("kserve", lambda it: it.update(kind="Deployment")),
        ("kserve", lambda it: it.update(apiVersion="serving.kserve.io/v1")),
        ("kserve", lambda it: it["spec"].pop("predictor")),
        ("compose", lambda it: it.pop("services")),
        ("compose", lambda it: it["services"]["serving"].pop("image")),
        ("compose", lambda it: it["services"]["serving"].update(restart=3)),
    ],
)
def test_what_is_missing_or_of_an_unknown_kind_is_refused(name, change):
    kind = {"kubernetes": "Deployment", "kserve": "InferenceService", "compose": None}[name]
    document = copy.deepcopy(next(it for it in read(f"{name}.yaml") if it.get("kind") == kind))
    change(document)
    with pytest.raises(jsonschema.ValidationError):
        check(name, document)


# --- TensorFlow Serving's own files -------------------------------------------------------------------------------


def messages() -> dict[str, type]:
    """Two messages that the package of TensorFlow Serving's stubs leaves out, with the fields that we use."""
    fields = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="deploy.proto", package="deploy", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    batching = file.message_type.add(name="BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(names, start=1):
        batching.field.add(
            name=name, number=number, type=fields.TYPE_MESSAGE, type_name=".google.protobuf.Int64Value", label=1
        )
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=fields.TYPE_BOOL, label=1)
    prometheus.field.add(name="path", number=2, type=fields.TYPE_STRING, label=1)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config", number=1, type=fields.TYPE_MESSAGE, type_name=".deploy.PrometheusConfig", label=1
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    names = {"batching.config": "BatchingParameters", "monitoring.config": "MonitoringConfig"}
    found = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"deploy.{message}"))
        for name, message in names.items()
    }
    return found | dict.fromkeys(("models.config", "models_scann.config"), model_server_config_pb2.ModelServerConfig)


def config(name: str) -> Any:
    return text_format.Parse((DEPLOY / "config" / name).read_text(encoding="utf-8"), messages()[name]())


def test_every_configuration_is_one():
    assert {path.name for path in (DEPLOY / "config").iterdir()} == set(messages())
    for name in messages():
        assert config(name).ByteSize() > 0
    assert config("batching.config").max_batch_size.value == 64
    assert config("monitoring.config").prometheus_config.enable


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models.config", "base_path", "base_bath"),
        ("models.config", "num_versions: 2", 'num_versions: "2"'),
        ("models_scann.config", "model_config_list", "models"),
        ("batching.config", "max_batch_size { value: 64 }", "max_batch_size: 64"),
        ("batching.config", "num_batch_threads", "num_threads"),
        ("monitoring.config", "enable: true", 'enable: "yes"'),
    ],
)
def test_a_mistake_in_a_configuration_is_noticed(name, old, new):
    text = (DEPLOY / "config" / name).read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text.replace(old, new), messages()[name]())


# --- The files against each other ---------------------------------------------------------------------------------


def kind(name: str, wanted: str, called: str | None = None) -> dict:
    return next(it for it in read(name) if it["kind"] == wanted and called in (None, it["metadata"]["name"]))


def flags_of(arguments: list[str]) -> dict[str, str]:
    found = {}
    for argument in arguments:
        name, value = re.fullmatch(r"--(\w+)=(.*)", argument).groups()
        assert name in FLAGS, f"{argument}: TensorFlow Serving has no such flag"
        found[name] = value
    return found


def test_compose_mounts_what_is_exported_and_what_is_configured():
    (document,) = read("compose.yaml")
    for service, models in (("serving", "models.config"), ("serving-scann", "models_scann.config")):
        service = document["services"][service]
        mounts = dict(volume.split(":")[1::-1] for volume in service["volumes"])
        assert all(volume.endswith(":ro") for volume in service["volumes"])
        flags = flags_of(service["command"])
        assert flags["model_config_file"] == f"/config/{models}"
        for flag, path in flags.items():
            if flag.endswith("_file"):
                assert (DEPLOY / mounts["/config"] / Path(path).name).is_file()
        for served in config(models).model_config_list.config:
            # course export writes to models/NAME beside this folder
            assert mounts[served.base_path] == f"../models/{served.name}"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "nothing here asks who is there"


def test_kubernetes_holds_together():
    deployment, service = kind("kubernetes.yaml", "Deployment"), kind("kubernetes.yaml", "Service")
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    flags = flags_of(container["args"])
    assert ports == {"grpc": int(flags["port"]), "rest": int(flags["rest_api_port"])}
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        kind("kubernetes.yaml", "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert not selectors[1].items() <= kind("kubernetes.yaml", "Pod")["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "rest"
        (served,) = config("models.config").model_config_list.config
        assert container[probe]["httpGet"]["path"] == f"/v1/models/{served.name}/metadata"
    assert container["livenessProbe"]["tcpSocket"]["port"] == "grpc"
    assert "replicas" not in deployment["spec"], "two would have the say"
    target = kind("kubernetes.yaml", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert target["apiVersion"] == deployment["apiVersion"]
    assert container["resources"]["requests"]["cpu"], "a share of nothing cannot be measured"

    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == set(volumes)
    assert volumes["config"]["configMap"]["name"] == kind("kubernetes.yaml", "ConfigMap")["metadata"]["name"]
    claim = kind("kubernetes.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    loader = kind("kubernetes.yaml", "Pod")["spec"]["volumes"][0]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim
    assert loader["persistentVolumeClaim"] == {"claimName": claim}
    for served in config("models.config").model_config_list.config:
        assert served.base_path.startswith(mounts["models"] + "/")


def test_the_config_map_holds_the_configuration_files():
    (container,) = kind("kubernetes.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    wanted = {Path(path).name for flag, path in flags_of(container["args"]).items() if flag.endswith("_file")}
    data = kind("kubernetes.yaml", "ConfigMap")["data"]
    assert set(data) == wanted
    for name, text in data.items():
        assert text == (DEPLOY / "config" / name).read_text(encoding="utf-8"), name


def test_kserve_s_service_uses_its_own_runtime_and_the_volume_of_the_other_file():
    runtime, service = kind("kserve.yaml", "ServingRuntime"), kind("kserve.yaml", "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in [it["name"] for it in runtime["spec"]["supportedModelFormats"]]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    claim = kind("kubernetes.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    assert model["storageUri"] == f"pvc://{claim}/retrieval"
    (container,) = runtime["spec"]["containers"]
    flags = flags_of(container["args"])
    assert container["name"] == "kserve-container" and flags["model_base_path"] == "/mnt/models"
    assert container["ports"][0]["containerPort"] == int(flags["rest_api_port"])


def test_images_are_pinned_and_of_one_version():
    images = set(re.findall(r"image: (\S+)", "".join(path.read_text("utf-8") for path in DEPLOY.glob("*.yaml"))))
    serving = {image.replace("${TF_SERVING_TAG:-", "").rstrip("}") for image in images if "tensorflow/serving" in image}
    (pinned,) = re.findall(r'"tensorflow-serving-api==([\d.]+)\.\*"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert serving == {f"tensorflow/serving:{pinned}.0"}
    # Of this one there is nothing but `latest`, and it has not changed since 2022.
    assert {image for image in images if image.endswith("latest")} == {"google/tf-serving-scann:latest"}


def test_the_page_names_every_file():
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for path in [*DEPLOY.glob("*.yaml"), *(DEPLOY / "config").iterdir()]:
        assert path.name in page, path.name
