"""Every object in dist/ against the published schemas of each Kubernetes minor version, unknown fields refused."""

import pathlib
import sys

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSIONS = ["1.%d" % minor for minor in range(28, 38)]
# Kinds that Kubernetes itself does not know; their types come from their definitions, by `cdk8s import`.
CUSTOM = {"Application", "AppProject", "Certificate", "HTTPRoute"}
# What a published schema gets wrong, by version and message, with the reason.
WRONG = {
    ("1.28", "'onPodConditions' is a required property"): "the API server of 1.28 takes a rule with exit codes alone; its schema asks for both kinds of reasons"
}

passed, failures, custom, wrong = 0, [], 0, set()
for path in sorted((ROOT / "dist").glob("*/*.yaml")):
    with open(path) as file:
        object = yaml.safe_load(file)
    if object["kind"] in CUSTOM:
        custom += 1
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
print("%d objects of custom kinds are left to their types" % custom)
print("%d passed, %d failed" % (passed, len(failures)))
sys.exit(1 if failures else 0)
