"""Checks that the Service of the models has endpoints (asks the API server) and that the endpoint has the models.

A model that is trained here may be missing until its first version is published: RELEASED has its name and that of its
versions, as NAME:stable=NAME. Standard library only. API and CREDENTIALS are given by tests; in a pod they are where the kubelet puts them.
"""
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

CREDENTIALS = os.environ.get("CREDENTIALS", "/var/run/secrets/kubernetes.io/serviceaccount")
API = os.environ.get("API") or "https://%s:%s" % (
    os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"),
    os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
)
SERVICE = os.environ["SERVICE"]
NAMESPACE = os.environ["NAMESPACE"]
URL = os.environ["URL"]


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)


def models_of(url):
    key = os.environ.get("API_KEY")
    headers = {"Authorization": "Bearer " + key} if key else {}
    if url.startswith("https:"):  # Servers other than Ollama only have OpenAI's list.
        return {model["id"] for model in ask(url + "/v1/models", headers)["data"]}
    return {model["name"] for model in ask(url + "/api/tags", headers)["models"]}


def ask(url, headers=None, context=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.load(answer)


def ready_endpoints():
    with open(os.path.join(CREDENTIALS, "token")) as file:
        headers = {"Authorization": "Bearer " + file.read().strip()}
    authority = os.path.join(CREDENTIALS, "ca.crt")
    context = ssl.create_default_context(cafile=authority) if API.startswith("https:") else None
    path = "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=kubernetes.io%%2Fservice-name%%3D%s"
    slices = ask(API + path % (NAMESPACE, SERVICE), headers, context)["items"]
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    return [each for each in endpoints if (each.get("conditions") or {}).get("ready") is not False]


if os.environ["HAS_ENDPOINTS"] == "yes":
    try:
        found = ready_endpoints()
    except (OSError, ValueError, KeyError) as error:
        fail("API server: cannot read the EndpointSlices of %s/%s: %s" % (NAMESPACE, SERVICE, error))
    if not found:
        fail(
            "API server: service %s/%s has no ready endpoint. If its EndpointSlice is in Git, Argo CD skipped it: "
            "argocd-cm must not list EndpointSlice in resource.exclusions" % (NAMESPACE, SERVICE)
        )
    print("API server: service %s/%s has %d ready endpoint(s)" % (NAMESPACE, SERVICE, len(found)))

try:
    models = models_of(URL)
except (OSError, ValueError, KeyError, TypeError) as error:
    fail("endpoint: %s does not answer: %s. Is the AI machine on, and does its firewall let the nodes in?" % (URL, error))
released = dict(each.split("=", 1) for each in os.environ.get("RELEASED", "").split())


def unpublished(model):
    versions = released.get(model, "") + ":v"
    return model in released and not any(each.startswith(versions) for each in models)


missing = [model for model in os.environ["MODELS"].split() if model not in models]
for model in filter(unpublished, missing):
    print("endpoint: %s is not published yet: npm run models -- publish %s" % (model, released[model]))
missing = [model for model in missing if not unpublished(model)]
if missing:
    fail("endpoint: %s answers but lacks %s; it has %s" % (URL, ", ".join(missing), ", ".join(sorted(models)) or "none"))
there = [model for model in os.environ["MODELS"].split() if model in models]
print("endpoint: %s has every model: %s" % (URL, " ".join(there)))
