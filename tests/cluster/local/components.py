"""The command line of each component of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.local.node import API_PORT, KUBELET, NAME, POD_NETWORK, SERVICE_NETWORK

if TYPE_CHECKING:
    from tests.cluster.local.node import Node


@dataclass(frozen=True)
class Component:
    """A process of the cluster; its log is `logs/<name>.log`."""

    name: str
    arguments: list[str]


def control_plane(node: Node) -> list[Component]:
    """What everything else waits for: etcd and the API server."""
    return [_kubernetes(node, "etcd", _etcd(node)), _kubernetes(node, "kube-apiserver", _api_server(node))]


def controllers(node: Node) -> list[Component]:
    """What needs nothing but the API server."""
    return [
        _kubernetes(node, "kube-controller-manager", _controller_manager(node)),
        _kubernetes(node, "kube-scheduler", [_kubeconfig(node, "kube-scheduler"), "--leader-elect=false", _NO_PORT]),
    ]


def container_runtime(node: Node) -> list[Component]:
    """The kubelet needs it."""
    return [Component("containerd", ["containerd", "--config", f"{node.runtime}/containerd.toml"])]


def node_agents(node: Node) -> list[Component]:
    """What makes it a node: kubelet and kube-proxy."""
    return [_kubernetes(node, "kubelet", _kubelet(node)), _kubernetes(node, "kube-proxy", _proxy(node))]


def storage(node: Node) -> list[Component]:
    """The CSI driver of `go/storage`, and the sidecars that provision and expand volumes with it."""
    socket = "/run/csi/csi.sock"
    driver = [f"--socket={socket}", f"--volumes={node.runtime}/volumes", f"--node={NAME}"]
    driver.append(f"--registrations={KUBELET}/plugins_registry")
    shared = [f"--csi-address={socket}", _kubeconfig(node, "storage")]
    provisioner = ["--default-fstype=ext4", "--retry-interval-max=5s", "--kube-api-qps=100", "--kube-api-burst=200"]
    return [
        Component("csi-driver", [str(node.binaries.storage / "storage"), *driver]),
        Component("csi-provisioner", [str(node.binaries.storage / "csi-provisioner"), *shared, *provisioner]),
        Component(
            "csi-resizer", [str(node.binaries.storage / "csi-resizer"), *shared, "--handle-volume-inuse-error=false"]
        ),
    ]


_NO_PORT = "--secure-port=0"


def _kubernetes(node: Node, name: str, flags: list[str]) -> Component:
    return Component(name, [str(node.binaries.kubernetes / "kubernetes"), name, *flags])


def _kubeconfig(node: Node, name: str) -> str:
    return f"--kubeconfig={node.pki}/{name}.kubeconfig"


def _etcd(node: Node) -> list[str]:
    peer = "http://127.0.0.1:2380"
    return [
        f"--data-dir={node.directory.state}/etcd",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _api_server(node: Node) -> list[str]:
    pki = node.pki
    return [
        "--etcd-servers=http://127.0.0.1:2379",
        f"--secure-port={API_PORT}",
        f"--bind-address={node.address}",
        f"--advertise-address={node.address}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
    ]


def _controller_manager(node: Node) -> list[str]:
    return [
        _kubeconfig(node, "kube-controller-manager"),
        f"--service-account-private-key-file={node.pki}/service-account.key",
        f"--root-ca-file={node.pki}/ca.crt",
        "--use-service-account-credentials",
        "--leader-elect=false",
        _NO_PORT,
    ]


def _kubelet(node: Node) -> list[str]:
    return [
        f"--config={node.runtime}/kubelet.json",
        _kubeconfig(node, "kubelet"),
        f"--root-dir={KUBELET}",
        f"--cert-dir={KUBELET}/pki",
        f"--hostname-override={NAME}",
        f"--node-ip={node.address}",
    ]


def _proxy(node: Node) -> list[str]:
    return [
        _kubeconfig(node, "kube-proxy"),
        f"--cluster-cidr={POD_NETWORK}",
        f"--hostname-override={NAME}",
        # These limits are the machine's, not the namespace's: leave them alone.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]
