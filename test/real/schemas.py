"""Every object in dist/ against the published schemas of each Kubernetes minor version, and those of other kinds against the schemas of
their own definitions; unknown fields refused."""

import copy
import json
import pathlib
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSIONS = ["1.%d" % minor for minor in range(28, 38)]
# Definitions of the kinds that Kubernetes itself does not know, in the versions that cdk8s.yaml names.
DEFINITIONS = [definition for path in sorted((ROOT / "test/real").glob("*/crds/*.yaml")) for definition in yaml.safe_load_all(path.read_text())]
# What is let through, by version and message, with the reason.
WRONG = {
    ("1.28", "Additional properties are not allowed ('sleep' was unexpected)"): "the native sleep of `drain` came with 1.29, behind a gate that opened with 1.30; an older cluster needs a `drain` of zero",
    ("1.28", "'onPodConditions' is a required property"): "the API server of 1.28 takes a rule with exit codes alone; its schema asks for both kinds of reasons"
}



def structural(schema):
    """A schema of a definition as JSON schema: what it does not name is refused, null is a type of its own."""
    if isinstance(schema, list):
        return [structural(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    # Below properties the keys are names of fields and no words of a schema.
    closed = {key: {name: structural(each) for name, each in value.items()} if key == "properties" else structural(value) for key, value in schema.items()}
    if "properties" in schema and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
    if schema.get("nullable") and "type" in schema:
        closed["type"] = [schema["type"], "null"]
    return closed


def validator(definition, version):
    schema = structural(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft4Validator(schema)


VALIDATORS = {
    ("%s/%s" % (definition["spec"]["group"], version["name"]), definition["spec"]["names"]["kind"]): validator(definition, version)
    for definition in DEFINITIONS
    for version in definition["spec"]["versions"]
    if version["served"]
}


def problems(object):
    """What its definition refuses, as lines. The rules in CEL are left to the API server, in the suites cluster and change."""
    return ["%s: %s" % ("/".join(map(str, error.path)), error.message) for error in VALIDATORS[(object["apiVersion"], object["kind"])].iter_errors(object)]


passed, failures, custom, wrong = 0, [], set(), set()
for path in sorted((ROOT / "dist").glob("*/*.yaml")):
    with open(path) as file:
        object = yaml.safe_load(file)
    if (object["apiVersion"], object["kind"]) in VALIDATORS:
        found = problems(object)
        custom.add(object["kind"])
        passed += not found
        failures += ["%s: %s" % (path.relative_to(ROOT), each) for each in found]
        continue
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(object, version, strict=True)
            passed += 1
        except Exception as error:
            message = str(error).splitlines()[0]
            if (version, message) in WRONG:
                wrong.add((version, message))
            else:
                failures.append("%s with %s: %s" % (path.relative_to(ROOT), version, message))
# Kinds that no homelab needs, as the constructs render them, each also with a wrong field: so the check is seen to bite.
rendered = json.loads(subprocess.check_output(["node", "-r", "ts-node/register/transpile-only", "test/real/custom-kinds.ts"], cwd=ROOT, timeout=300))
for object in rendered:
    name = "%s %s" % (object["kind"], object["metadata"]["name"])
    custom.add(object["kind"])
    failures += ["%s: %s" % (name, each) for each in problems(object)]
    field = next(iter(object["spec"]))
    for broken in ({**object["spec"], "unknown": 1}, {**object["spec"], field: 7}):
        if problems({**object, "spec": broken}):
            passed += 1
        else:
            failures.append("%s: a wrong field was accepted: this check proves nothing" % name)
    passed += 1
failures += ["no object of kind %s was checked" % kind for _, kind in VALIDATORS if kind not in custom]
# Proof that the check bites: a field that no version knows.
try:
    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}, VERSIONS[0], strict=True)
    failures.append("an unknown field was accepted: this check proves nothing")
except Exception:
    passed += 1
failures += ["%s: %s: no object shows this any more, so it must leave WRONG" % each for each in WRONG.keys() - wrong]
for each in sorted(wrong):
    print("let through: %s: %s: %s" % (*each, WRONG[each]))
print("\n".join(failures))
print("%d passed, %d failed" % (passed, len(failures)))
sys.exit(1 if failures else 0)
