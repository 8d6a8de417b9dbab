"""What the demonstration shows, in order; each chapter fails loudly when what it shows is not so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from examples.demo.target import NAMESPACE, ROOT
from examples.demo.terminal import DemoError, show, step, wait_until

if TYPE_CHECKING:
    from examples.demo.target import Target

EXAMPLE = ROOT / "examples/intraday-jules"
SYSTEM = "riskbus-system"
DIRECTORY = "/var/log/intraday-jules"
IMAGES = {"operator": "localhost/riskbus-operator:dev", "example": "localhost/riskbus-example:dev"}


def tell(target: Target) -> None:
    """The whole story on one cluster.

    Raises:
        DemoError: something that was to be shown is not so.
    """
    changed = target.build_images(IMAGES) if target.local else set()
    install_operator(target, restart="operator" in changed)
    apply_example(target, restart="example" in changed)
    show_status(target)
    validation_commands(target)
    survive_kill(target)
    survive_deletion(target)
    show_ephemeral(target)
    verify(target)
    look_around(target)


def install_operator(target: Target, *, restart: bool) -> None:
    """Helm installs the operator into a namespace that enforces the restricted Pod Security Standard.

    `restart`: a pod of an earlier run still has an older image of the same name.
    """
    with step("Install the operator: helm upgrade --install riskbus-operator charts/riskbus-operator"):
        target.kubectl("apply", "--filename", "-", stdin=restricted_namespace(SYSTEM))
        repository, tag = IMAGES["operator"].rsplit(":", 1)
        target.helm(
            *("upgrade", "--install", "riskbus-operator", str(ROOT / "charts/riskbus-operator"), "--namespace", SYSTEM),
            *("--set", f"image.repository={repository},image.tag={tag}", "--wait", "--timeout", "3m"),
        )
        if restart:
            rollout(target, "restart", "--namespace", SYSTEM, "deployment/riskbus-operator")
        rollout(target, "status", "--namespace", SYSTEM, "deployment/riskbus-operator", "--timeout", "180s")
    show(target.kubectl("get", "pods", "--namespace", SYSTEM))


def rollout(target: Target, *arguments: str) -> None:
    """Run `kubectl rollout`."""
    target.kubectl("rollout", *arguments)


def restricted_namespace(name: str) -> str:
    """The manifest of a namespace that enforces the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def apply_example(target: Target, *, restart: bool) -> None:
    """A trading workload that knows nothing of volumes, and one policy that gives it one."""
    with step("Apply the trading workload and its RiskAuditPolicy: kubectl apply -f examples/intraday-jules/"):
        for name in ("namespace", "deployment", "policy"):
            apply(target, name)
        if restart:
            rollout(target, "restart", "deployment/intraday-jules")
    with step("Wait for the policy to be Ready"):
        wait_ready(target)


def apply(target: Target, name: str) -> None:
    """Apply one manifest of the example, with the storage class that this cluster has."""
    manifest = (EXAMPLE / f"{name}.yaml").read_text()
    target.kubectl("apply", "--filename", "-", stdin=manifest.replace("fast-ssd", target.storage_class))


def wait_ready(target: Target) -> None:
    """Return once the example's policy is Ready with the pod that runs now.

    Raises:
        DemoError: it is not after three minutes; with what its conditions say.
    """
    try:
        rollout(target, "status", "deployment/intraday-jules", "--timeout", "180s")
        target.kubectl("wait", "rap/intraday", "--for", "condition=Ready", "--timeout", "180s")
    except DemoError as error:
        raise DemoError(f"{error}\n{conditions(target, 'intraday')}") from None


def conditions(target: Target, policy: str) -> str:
    """The policy's conditions, a line each."""
    line = '{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\\n"}{end}'
    return target.kubectl("get", f"rap/{policy}", "--output", f"jsonpath={line}")


def show_status(target: Target) -> None:
    """The answer at a glance, the pod's own report, and the alert rules."""
    with step("The policy at a glance: kubectl get rap"):
        show(target.kubectl("get", "rap"))
    with step("What the pod found about its own volume: kubectl get rar"):
        show(target.kubectl("get", "rar"))
    with step("The alert rules: kubectl get prometheusrules"):
        if target.kubectl("api-resources", "--api-group", "monitoring.coreos.com", "--output", "name").strip():
            rules = '{range .items[*].spec.groups[*].rules[*]}{.alert} ({.labels.severity}): {.expr}{"\\n"}{end}'
            show(target.kubectl("get", "prometheusrules", "--output", f"jsonpath={rules}"))
        else:
            show("This cluster has no PrometheusRule; the policy's condition AlertsInstalled says so.")


VALIDATION = (
    "kubectl exec deployment/intraday-jules -- sh -c 'echo $RISK_AUDIT_LOG_PATH'",
    "kubectl get pvc -n trading",
    'kubectl describe pod -l app=intraday-jules | grep -A5 "Mounts:"',
    'kubectl logs deployment/intraday-jules | grep "Audit log file initialized"',
    "kubectl exec deployment/intraday-jules -- ls -la /var/log/intraday-jules/",
    f"timeout 5 kubectl exec deployment/intraday-jules -- tail -f {DIRECTORY}/risk_audit.jsonl || test $? = 124",
)


def validation_commands(target: Target) -> None:
    """The commands of a deployment checklist, as written."""
    if not target.local:
        target.shell(f"kubectl config set-context --current --namespace {NAMESPACE}")
    for line in VALIDATION:
        with step(line):
            output = target.shell(line)
            if not output.strip():
                raise DemoError(f"`{line}` printed nothing.")
            show("\n".join(shortened(text) for text in output.splitlines()[-12:]))


def shortened(text: str, width: int = 200) -> str:
    """The text, cut where it would fill the screen."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


RECORDS = f"""
import json
from riskbus.testing import read_records
told = ("event_id", "event_type", "data")
print(json.dumps([{{key: record[key] for key in told}} for record in read_records("{DIRECTORY}/risk_audit.jsonl")]))
"""


def records(target: Target) -> list[Any]:
    """Every whole record on the volume, of all incarnations; `kill -9` may leave an unfinished line at a file's end."""
    printed = ""
    for _ in range(3):  # kubectl prints nothing, and exits with 0, where it lost its connection: kubernetes issue 73056
        printed = printed or in_pod(target, "python", "-c", RECORDS)
    if not printed:
        raise DemoError("kubectl exec printed nothing, three times; look at the node's kubelet, and make demo again")
    found: list[Any] = json.loads(printed)
    return found


def in_pod(target: Target, *command: str) -> str:
    """Run a command in the trading process's container and return what it printed."""
    return target.kubectl("exec", "deployment/intraday-jules", "--", *command)


def events(target: Target) -> list[tuple[str, str]]:
    """(event_id, event_type) of every event on the volume, control records left out."""
    found = [(record["event_id"], record["event_type"]) for record in records(target)]
    return [(event, kind) for event, kind in found if not kind.startswith("AUDIT_")]


def pod(target: Target) -> dict[str, str]:
    """Name and restart count of the pod that runs now; empty while there is none."""
    listed = json.loads(target.kubectl("get", "pods", "--selector", "app=intraday-jules", "--output", "json"))["items"]
    for item in listed:
        statuses = item["status"].get("containerStatuses", [])
        if statuses and statuses[0]["ready"] and "deletionTimestamp" not in item["metadata"]:
            return {"name": item["metadata"]["name"], "restarts": str(statuses[0]["restartCount"])}
    return {}


FLASH_CRASH_AND_KILL = f"""
import os, signal, time
log = "{DIRECTORY}/risk_audit.jsonl"
(pid,) = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()
          and b"workload.py" in open(f"/proc/{{entry}}/cmdline", "rb").read()]
enough = os.stat(log).st_size + 200_000
os.kill(pid, signal.SIGUSR1)
while os.stat(log).st_size < enough:
    time.sleep(0.001)
os.kill(pid, signal.SIGKILL)
print(f"kill -USR1 {{pid}} (a flash crash: thousands of orders are throttled), and in the middle of it kill -9 {{pid}}")
"""


def survive_kill(target: Target) -> None:
    """`kill -9` in the middle of a burst: the container starts again, and everything that was accepted is there."""
    with step("kill -9 the trading process, in the middle of a burst of events"):
        wait_until("the workload has published a KILL_SWITCH", lambda: has_kill_switch(target))
        before, running, recoveries = events(target), pod(target), len(recovered(target))
        show(in_pod(target, "python", "-c", FLASH_CRASH_AND_KILL))
        wait_until(
            "the container starts again", lambda: pod(target).get("restarts", "") not in ("", running["restarts"])
        )
        show(compare(target, before))
        wait_until("the next process has taken the memory of the killed one over", lambda: rings(target) == 1)
        show(flash_crash(target, sum(recovered(target)[recoveries:])))


def rings(target: Target) -> int:
    """Rings in the pod's memory: one for the process that lives, and one for each whose records nobody took over."""
    return sum(name.endswith(".ring") for name in in_pod(target, "ls", "/run/riskbus").split())


def recovered(target: Target) -> list[int]:
    """How many records each process took over from one that was killed."""
    told = [record["data"] for record in records(target) if record["event_type"] == "AUDIT_RECOVERED"]
    return [data["records"] for data in told if "incarnation" in data]  # the others are about an outage of the volume


def flash_crash(target: Target, taken_over: int) -> str:
    """What the log has of the newest flash crash, of which the next process took so many records over.

    Raises:
        DemoError: an order in the middle is missing, or there twice.
    """
    found = [record["data"] for record in records(target) if "flash_crash" in record["data"]]
    orders = [data["order"] for data in found if data["flash_crash"] == found[-1]["flash_crash"]]
    if sorted(orders) != list(range(len(orders))):
        raise DemoError("Orders of the flash crash are missing, or there twice.")
    there = (
        f"Orders 0 to {len(orders) - 1:,} of the flash crash are all there, once each. When the process was killed,\n"
    )
    if not taken_over:
        return f"{there}the writer had kept up: all that was accepted was on the volume already."
    return f"{there}{taken_over:,} of them were accepted and not yet written; the next found them in the pod's memory."


def survive_deletion(target: Target) -> None:
    """The pod goes, another comes on the same volume: everything from before is there, the log goes on."""
    with step("kubectl delete pod -l app=intraday-jules"):
        before, running = events(target), pod(target)
        target.kubectl("delete", "pod", "--selector", "app=intraday-jules", "--wait")
        wait_until("another pod is ready", lambda: pod(target).get("name", "") not in ("", running["name"]))
        show(compare(target, before))
        wait_ready(target)


def has_kill_switch(target: Target) -> bool:
    """Whether the stalled feed has already pulled the kill switch."""
    return any(kind == "KILL_SWITCH" for _, kind in events(target))


def compare(target: Target, before: list[tuple[str, str]]) -> str:
    """What is left of `before`, and what has come since; waits for the log to go on.

    Raises:
        DemoError: an event from before is not there, or the log does not go on.
    """
    wait_until("the log goes on", lambda: len(events(target)) > len(before), timeout=60)
    now = events(target)
    lost = set(before) - set(now)
    if lost:
        raise DemoError(f"{len(lost)} of {len(before)} events from before are gone, for example {lost.pop()}.")
    return f"{len(before)} events from before: all there. {len(now) - len(before)} new ones since."


def show_ephemeral(target: Target) -> None:
    """A workload that writes to an emptyDir: the report says Invalid, the policy is not Ready and says what to do."""
    with step(
        "A workload whose audit directory is an emptyDir: kubectl apply -f examples/intraday-jules/ephemeral.yaml"
    ):
        apply(target, "ephemeral")
        rollout(target, "status", "deployment/intraday-ephemeral", "--timeout", "180s")
        wait_until("its report says Invalid", lambda: "Invalid" in target.kubectl("get", "rar"))
        wait_until("its policy names the emptyDir", lambda: "EmptyDir" in conditions(target, "ephemeral"))
    show(target.kubectl("get", "rap,rar"))
    show(conditions(target, "ephemeral"))
    if "Ready=False" not in conditions(target, "ephemeral"):
        raise DemoError("The policy `ephemeral` should not be Ready.")


def verify(target: Target) -> None:
    """What an auditor runs, over the whole volume and all incarnations on it."""
    with step("An auditor verifies the volume: riskbus verify /var/log/intraday-jules"):
        command = ("exec", "deployment/intraday-jules", "--", "riskbus", "verify", DIRECTORY)
        said = target.kubectl(*command, check=False)
        show(said)
        if "torn-recovered" in said:
            show("The unfinished line is where kill -9 cut a write short; the next process wrote that record whole.")
        if "Nothing is wrong" not in said:
            raise DemoError("The log that the demonstration wrote does not verify.")


def look_around(target: Target) -> None:
    """How to go on from here and how to end it."""
    kubectl = f"KUBECONFIG={target.kubeconfig} {target.kubectl_path}"
    print(f"""
The cluster is up. To look around:
    export KUBECONFIG={target.kubeconfig} PATH={target.kubectl_path.rsplit("/", 1)[0]}:$PATH
    kubectl get rap,rar,pvc,pods
    kubectl describe rap intraday
    kubectl explain rap.spec
or without setting anything: {kubectl} get rap
To end it: make demo-down""")


def withdraw(target: Target) -> None:
    """Take from a cluster of the user's own what the demonstration put there; policies first, so that they let go."""
    with step("Remove what the demonstration put into the cluster"):
        target.kubectl("delete", "rap", "--all", "--ignore-not-found", "--wait")
        target.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
        target.helm("uninstall", "riskbus-operator", "--namespace", SYSTEM, "--ignore-not-found", "--wait")
        target.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--wait")
