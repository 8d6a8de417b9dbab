"""What the plan reads of a Deployment or StatefulSet: the API server holds objects to it, a file may hold anything."""

from typing import Annotated, Any

from pydantic import Field

from .metadata import ObjectMeta
from .model import Model

_Name = Annotated[str, Field(min_length=1)]


class Variable(Model):
    """An entry of a container's `env`."""

    name: _Name
    value: str = ""
    value_from: dict[str, dict[str, Any]] = Field(default={})


class Mount(Model):
    """An entry of a container's `volumeMounts`."""

    name: _Name
    mount_path: _Name


class Container(Model):
    """A container or init container."""

    name: _Name
    env: tuple[Variable, ...] = ()
    volume_mounts: tuple[Mount, ...] = ()


class PodVolume(Model):
    """An entry of a pod's `volumes`."""

    name: _Name


class PodSpec(Model):
    """The pod that the template makes."""

    containers: Annotated[tuple[Container, ...], Field(min_length=1)]
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[PodVolume, ...] = ()
    service_account_name: str = ""


class Template(Model):
    """The pod template."""

    spec: PodSpec


class RollingUpdate(Model):
    """How many pods a rollout starts before it stops old ones."""

    max_surge: Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern="^[0-9]+%?$")] = "25%"


class Strategy(Model):
    """How a Deployment is rolled out."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate = RollingUpdate()


class WorkloadSpec(Model):
    """The spec of a workload."""

    replicas: Annotated[int, Field(ge=0)] = 1
    strategy: Strategy = Strategy()
    template: Template


class NamedMeta(ObjectMeta):
    """Metadata with a name that can be one."""

    name: _Name


class WorkloadManifest(Model):
    """A Deployment or StatefulSet."""

    metadata: NamedMeta
    spec: WorkloadSpec
