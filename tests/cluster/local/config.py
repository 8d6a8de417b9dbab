"""The files that the components of a cluster read: certificates, kubeconfigs, containerd, CNI and kubelet settings."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from tests.cluster.local.node import API_SERVICE, CONTAINERD, NAME, POD_NETWORK
from tests.cluster.local.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.local.node import Node

PAUSE_IMAGE = "localhost/pause:1"

# Name of the certificate: user and group that RBAC and the node authorizer know.
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "apiserver-kubelet-client": ("kube-apiserver", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", "system:authenticated"),
    "kube-scheduler": ("system:kube-scheduler", "system:authenticated"),
    "kube-proxy": ("system:kube-proxy", "system:node-proxier"),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "storage": ("riskbus-local-storage", "system:masters"),
}


def write_all(node: Node, *, namespace: str) -> None:
    """Write every file that the first start needs; `namespace` is the administrator's current one."""
    _write_certificates(node)
    for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "storage"):
        _write_kubeconfig(node, component, node.pki / f"{component}.kubeconfig")
    _write_kubeconfig(node, "admin", node.directory.kubeconfig, namespace=namespace)
    for folder in ("cni", "cri", "kubelet", "var-log", "volumes"):
        (node.runtime / folder).mkdir(parents=True, exist_ok=True)
    (node.runtime / "containerd.toml").write_text(_containerd(node))
    (node.runtime / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni()))
    (node.runtime / "kubelet.json").write_text(json.dumps(_kubelet(node)))


def _write_certificates(node: Node) -> None:
    authority = Authority(node.pki)
    for name, (user, group) in _CLIENTS.items():
        authority.client(name, user, group)
    names = [f"kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    authority.server("apiserver", names, [node.address, API_SERVICE, "127.0.0.1"])
    authority.server("kubelet-server", [NAME], [node.address])
    authority.key_pair("service-account")


def _write_kubeconfig(node: Node, client: str, path: Path, *, namespace: str = "default") -> None:
    cluster = {"server": node.server, "certificate-authority-data": _base64(node.pki / "ca.crt")}
    user = {
        "client-certificate-data": _base64(node.pki / f"{client}.crt"),
        "client-key-data": _base64(node.pki / f"{client}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": client, "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": client, "namespace": namespace}}],
        "current-context": "local",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _containerd(node: Node) -> str:
    # Without restrict_oom_score_adj runc fails where this process itself may not lower its own score.
    return f"""\
version = 2
root = "{node.runtime}/cri"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{node.runtime}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{node.runtime}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _cni() -> dict[str, object]:
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni-data",
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "local", "plugins": [bridge, portmap]}


def _kubelet(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(node.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(node.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(node.pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup,
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "readOnlyPort": 0,
        "resolvConf": "",
        "serializeImagePulls": False,
        "volumePluginDir": str(node.runtime / "flexvolume"),
        "volumeStatsAggPeriod": "5s",
        # How often a running pod is looked at without a cause: a claim that grew is mounted larger only then.
        "syncFrequency": "5s",
        # Images are loaded by hand and cannot be pulled again: a full disk must not collect them.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
