"""A pod's status from its containers."""

from __future__ import annotations

from serinus.sandbox.objects import condition, is_ready
from serinus.sandbox.podstatus import State, container_status, pod_status, terminated

RUNNING = State("web", "hello:1", started="t0", ready=True)


def test_a_running_and_ready_container_makes_a_ready_pod() -> None:
    status = pod_status({}, [RUNNING], "127.1.0.1", "now")

    assert (status["phase"], status["podIP"]) == ("Running", "127.1.0.1")
    assert is_ready({"status": status})
    assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": "t0"}}


def test_one_container_that_is_not_ready_makes_the_pod_unready() -> None:
    other = State("side", "x:1", started="t0")

    ready = condition({"status": pod_status({}, [RUNNING, other], "h", "now")}, "Ready")

    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert "side" in ready["message"]


def test_a_condition_keeps_its_time_until_it_turns() -> None:
    first = pod_status({}, [RUNNING], "h", "t1")
    second = pod_status(first, [RUNNING], "h", "t2")
    third = pod_status(second, [State("web", "hello:1", started="t0")], "h", "t3")

    times = [
        (found or {})["lastTransitionTime"]
        for status in (first, second, third)
        if (found := condition({"status": status}, "Ready"))
    ]
    assert times == ["t1", "t1", "t3"]
    assert third["startTime"] == "t1"


def test_waiting_says_why() -> None:
    waiting = State("web", "nope:1", waiting=("ImagePullBackOff", "unknown"))

    assert pod_status({}, [waiting], "h", "now")["phase"] == "Pending"
    assert container_status(waiting)["state"] == {
        "waiting": {"reason": "ImagePullBackOff", "message": "unknown"}
    }


def test_a_crashed_program_leaves_its_exit_behind() -> None:
    end = terminated(-9, "t0", "t1")
    state = State("web", "x:1", ("CrashLoopBackOff", "back-off"), restarts=2, last=end)

    status = container_status(state)

    assert end["exitCode"] == 137
    assert status["lastState"] == {"terminated": end}
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["restartCount"] == 2


def test_programs_that_may_end_end_the_pod() -> None:
    def phase(code: int) -> str:
        state = State("job", "x:1", started="t0", exit=terminated(code, "t0", "t1"))
        return str(pod_status({}, [state], "h", "now", "Never")["phase"])

    assert (phase(0), phase(1)) == ("Succeeded", "Failed")
