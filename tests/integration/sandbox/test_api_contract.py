"""What everybody here relies on of a Kubernetes API, against the emulator and the real one.

Where the two differ the emulator is wrong.
"""

from __future__ import annotations

import pytest
from tests.integration.sandbox.api import APPLY, JSON, STRATEGIC, Api, Obj
from tests.servers.waiting import eventually

CM = "configmaps"
CANARIES = "canaries.v1beta1.flagger.app"
DEPLOYMENTS = "deployments.v1.apps"


def a_config(name: str = "c", **data: str) -> Obj:
    return {"metadata": {"name": name}, "data": data or {"a": "1"}}


def a_canary(name: str = "web", **spec: object) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80},
            "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
            **spec,
        },
    }


def a_deployment(name: str = "web") -> Obj:
    labels = {"app": name}
    container = {"name": "web", "image": "hello:1.0", "env": [{"name": "A", "value": "1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "paused": True,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def a_config_to_apply(name: str = "c", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# Creating and reading


async def test_a_created_object_gets_what_belongs_to_the_system(api: Api) -> None:
    made = await api.create(CANARIES, a_canary())

    assert made.code == 201
    assert made.meta["generation"] == 1
    assert {"uid", "creationTimestamp", "resourceVersion"} <= set(made.meta)
    assert (await api.get(CANARIES, "web")).body == made.body


async def test_a_taken_name_is_refused(api: Api) -> None:
    await api.create(CM, a_config())

    again = await api.create(CM, a_config())

    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["message"] == 'configmaps "c" already exists'


async def test_what_is_not_there_is_not_found_by_name_and_kind(api: Api) -> None:
    missing = await api.get(CANARIES, "nobody")

    assert (missing.code, missing.body["kind"], missing.body["reason"]) == (
        404,
        "Status",
        "NotFound",
    )
    assert missing.body["message"] == 'canaries.flagger.app "nobody" not found'
    assert missing.body["details"] == {"name": "nobody", "group": "flagger.app", "kind": "canaries"}


async def test_an_unknown_kind_is_a_404(api: Api) -> None:
    assert (await api.get("dragons.v1.example.org")).code == 404
    assert (await api.get("dragons")).code == 404


async def test_a_namespace_must_exist(api: Api) -> None:
    api.namespace = "never-made"

    refused = await api.create(CM, a_config())

    assert refused.code == 404
    assert refused.body["message"] == 'namespaces "never-made" not found'


async def test_a_name_is_made_from_generate_name(api: Api) -> None:
    made = await api.create(CM, {"metadata": {"generateName": "cfg-"}})

    assert made.code == 201
    assert made.meta["name"].startswith("cfg-")
    assert len(made.meta["name"]) == len("cfg-") + 5


async def test_a_bad_name_is_invalid(api: Api) -> None:
    refused = await api.create(CM, a_config("Not_A_Name"))

    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert refused.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_version_may_not_be_given_at_creation(api: Api) -> None:
    config = a_config()
    config["metadata"]["resourceVersion"] = "1"

    refused = await api.create(CM, config)

    assert refused.code == 500
    assert refused.body["message"] == "resourceVersion should not be set on objects to be created"


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    made = await api.create(CM, a_config(), dryRun="All")

    assert made.code == 201
    assert (await api.get(CM, "c")).code == 404


async def test_secrets_hold_their_text_encoded(api: Api) -> None:
    made = await api.create("secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})

    assert made.body["data"] == {"a": "Yg=="}
    assert "stringData" not in made.body
    assert made.body["type"] == "Opaque"


async def test_defaults_are_filled_in(api: Api) -> None:
    made = await api.create(DEPLOYMENTS, a_deployment())

    spec = made.body["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (600, 10)
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


async def test_a_service_gets_an_address_and_keeps_it(api: Api) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = await api.create("services", service)
    address = made.body["spec"]["clusterIP"]

    service["spec"] = {"ports": [{"port": 81}]}
    changed = await api.put("services", "web", service)

    assert address.count(".") == 3
    assert changed.body["spec"]["clusterIP"] == address
    assert changed.body["spec"]["ports"] == [{"port": 81, "protocol": "TCP", "targetPort": 81}]


# Lists


async def test_labels_select(api: Api) -> None:
    for name, tier in (("a", "web"), ("b", "db"), ("c", "")):
        labels = {"tier": tier} if tier else {}
        await api.create(CM, {"metadata": {"name": name, "labels": {"mine": "yes", **labels}}})

    async def names(selector: str) -> list[str]:
        found = await api.get(CM, labelSelector=selector)
        assert found.code == 200, found
        return [item["metadata"]["name"] for item in found.body["items"]]

    assert await names("mine=yes") == ["a", "b", "c"]
    assert await names("mine,tier=web") == ["a"]
    assert await names("mine,tier!=web") == ["b", "c"]
    assert await names("mine,tier in (web, db)") == ["a", "b"]
    assert await names("mine,tier notin (web)") == ["b", "c"]
    assert await names("mine,!tier") == ["c"]
    assert (await api.get(CM, labelSelector="a in b")).code == 400


async def test_fields_select_what_can_be_selected(api: Api) -> None:
    await api.create(CM, a_config("a"))
    await api.create(CM, a_config("b"))

    found = await api.get(CM, fieldSelector="metadata.name=b")

    assert [item["metadata"]["name"] for item in found.body["items"]] == ["b"]
    assert (await api.get(CM, fieldSelector="data.a=1")).code == 400


async def test_a_list_is_a_list_of_its_kind_with_a_version(api: Api) -> None:
    made = await api.create(CANARIES, a_canary())

    found = await api.get(CANARIES)

    assert (found.body["kind"], found.body["apiVersion"]) == ("CanaryList", "flagger.app/v1beta1")
    assert int(found.version) >= int(made.version)


async def test_a_long_list_comes_in_pages(api: Api) -> None:
    for name in "abc":
        await api.create(CM, {"metadata": {"name": name, "labels": {"mine": "yes"}}})

    first = await api.get(CM, labelSelector="mine", limit="2")
    second = await api.get(
        CM, labelSelector="mine", limit="2", **{"continue": first.meta["continue"]}
    )

    assert [item["metadata"]["name"] for item in first.body["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in second.body["items"]] == ["c"]
    assert "continue" not in second.meta
    assert second.version == first.version


# Replacing and patching


async def test_a_stale_version_is_a_conflict_in_a_put(api: Api) -> None:
    made = await api.create(CM, a_config())
    await api.patch(CM, "c", {"data": {"a": "2"}})

    late = await api.put(CM, "c", made.body)

    assert (late.code, late.body["reason"]) == (409, "Conflict")
    assert "the object has been modified" in late.body["message"]


@pytest.mark.parametrize("sub", ["", "status"])
async def test_a_stale_version_is_a_conflict_in_a_patch(api: Api, sub: str) -> None:
    made = await api.create(CANARIES, a_canary())
    await api.patch(CANARIES, "web", {"metadata": {"labels": {"a": "b"}}})

    patch = {"metadata": {"resourceVersion": made.version}, "status": {"phase": "Failed"}}
    late = await api.patch(CANARIES, "web", patch, sub=sub)

    assert (late.code, late.body["reason"]) == (409, "Conflict")


async def test_a_merge_patch_removes_with_null_and_replaces_lists(api: Api) -> None:
    await api.create(CANARIES, a_canary(skipAnalysis=True))

    patch = {"spec": {"skipAnalysis": None, "analysis": {"stepWeights": [1, 2]}}}
    await api.patch(CANARIES, "web", patch)
    patched = await api.patch(CANARIES, "web", {"spec": {"analysis": {"stepWeights": [3]}}})

    assert "skipAnalysis" not in patched.body["spec"]
    assert patched.body["spec"]["analysis"]["stepWeights"] == [3]
    assert patched.body["spec"]["analysis"]["interval"] == "10s"


async def test_a_json_patch_tests_first(api: Api) -> None:
    await api.create(CM, a_config(a="1"))
    change = {"op": "replace", "path": "/data/a", "value": "2"}

    refused = await api.patch(
        CM, "c", [{"op": "test", "path": "/data/a", "value": "9"}, change], JSON
    )
    done = await api.patch(CM, "c", [{"op": "test", "path": "/data/a", "value": "1"}, change], JSON)

    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert done.body["data"] == {"a": "2"}


async def test_a_strategic_patch_merges_containers_by_name(api: Api) -> None:
    await api.create(DEPLOYMENTS, a_deployment())

    change = {"name": "web", "env": [{"name": "B", "value": "2"}]}
    patch = {"spec": {"template": {"spec": {"containers": [change]}}}}
    patched = await api.patch(DEPLOYMENTS, "web", patch, STRATEGIC)

    (container,) = patched.body["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "hello:1.0"
    assert sorted(entry["name"] for entry in container["env"]) == ["A", "B"]


async def test_a_strategic_patch_is_not_for_custom_kinds(api: Api) -> None:
    await api.create(CANARIES, a_canary())

    assert (await api.patch(CANARIES, "web", {"spec": {}}, STRATEGIC)).code == 415


async def test_a_write_that_changes_nothing_makes_no_new_version(api: Api) -> None:
    made = await api.create(CM, a_config())

    patched = await api.patch(CM, "c", {"data": {"a": "1"}})
    put = await api.put(CM, "c", made.body)

    assert made.version == patched.version == put.version


async def test_what_is_not_there_cannot_be_patched(api: Api) -> None:
    assert (await api.patch(CM, "nobody", {"data": {}})).code == 404


async def test_the_generation_counts_changes_of_the_spec_only(api: Api) -> None:
    await api.create(CANARIES, a_canary())

    labelled = await api.patch(CANARIES, "web", {"metadata": {"labels": {"a": "b"}}})
    told = await api.patch(CANARIES, "web", {"status": {"phase": "Failed"}}, sub="status")
    changed = await api.patch(CANARIES, "web", {"spec": {"skipAnalysis": True}})

    assert [a.meta["generation"] for a in (labelled, told, changed)] == [1, 1, 2]


async def test_status_and_spec_are_written_apart(api: Api) -> None:
    canary = {**a_canary(), "status": {"phase": "Failed"}}
    made = await api.create(CANARIES, canary)
    both = {"spec": {"skipAnalysis": True}, "status": {"phase": "Succeeded"}}

    through_main = await api.patch(CANARIES, "web", both)
    through_status = await api.patch(
        CANARIES,
        "web",
        {"spec": {"skipAnalysis": False}, "status": {"phase": "Failed"}},
        sub="status",
    )

    assert "status" not in made.body
    assert "status" not in through_main.body
    assert through_status.body["status"] == {"phase": "Failed"}
    assert through_status.body["spec"]["skipAnalysis"] is True


async def test_a_put_of_the_status_leaves_the_rest(api: Api) -> None:
    made = await api.create(CANARIES, a_canary())
    wanted = {**made.body, "status": {"phase": "Failed", "canaryWeight": 5}}
    wanted["metadata"] = {**made.meta, "labels": {"not": "taken"}}

    told = await api.put(CANARIES, "web", wanted, "status")

    assert told.body["status"] == {"phase": "Failed", "canaryWeight": 5}
    assert "labels" not in told.meta


async def test_the_scale_is_the_replicas(api: Api) -> None:
    await api.create(DEPLOYMENTS, a_deployment())

    before = await api.get(DEPLOYMENTS, "web", "scale")
    after = await api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 0}}, sub="scale")

    assert before.body["kind"] == "Scale"
    assert before.body["spec"].get("replicas", 0) == 0
    assert before.body["status"]["selector"] == "app=web"
    assert after.code == 200


async def test_a_selector_of_a_deployment_is_for_ever(api: Api) -> None:
    await api.create(DEPLOYMENTS, a_deployment())

    patch = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    refused = await api.patch(DEPLOYMENTS, "web", patch)

    assert refused.code == 422
    assert "spec.selector" in [c["field"] for c in refused.body["details"]["causes"]]


# Schemas of custom kinds


async def test_a_schema_is_enforced(api: Api) -> None:
    canary = a_canary(provider="magic", progressDeadlineSeconds="soon")

    refused = await api.create(CANARIES, canary)

    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    fields = {cause["field"] for cause in refused.body["details"]["causes"]}
    assert {"spec.provider", "spec.progressDeadlineSeconds"} <= fields


async def test_unknown_fields_are_dropped_or_refused_as_asked(api: Api) -> None:
    canary = a_canary(colour="yellow")

    strict = await api.create(CANARIES, canary, fieldValidation="Strict")
    made = await api.create(CANARIES, canary)

    assert strict.code == 400
    assert 'unknown field "spec.colour"' in strict.body["message"]
    assert made.code == 201
    assert "colour" not in made.body["spec"]


# Server-side apply


async def test_apply_lists_all_conflicts_by_manager(api: Api) -> None:
    await api.apply(CM, "c", a_config_to_apply(a="1", b="1"), "me")
    await api.patch(CM, "c", {"data": {"z": "1"}}, fieldManager="you")

    refused = await api.apply(CM, "c", a_config_to_apply(a="2", b="2", z="2"), "him")

    assert refused.body["message"].startswith("Apply failed with 3 conflicts: conflicts with ")
    assert 'conflicts with "me":\n- .data.a\n- .data.b' in refused.body["message"]
    assert 'conflicts with "you" using v1:\n- .data.z' in refused.body["message"]


async def test_apply_creates_then_changes_nothing(api: Api) -> None:
    first = await api.apply(CM, "c", a_config_to_apply(a="1"), "me")
    second = await api.apply(CM, "c", a_config_to_apply(a="1"), "me")

    assert (first.code, second.code) == (201, 200)
    assert first.version == second.version
    (entry,) = first.meta["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("me", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:a": {}}}


async def test_apply_removes_what_its_manager_leaves_out(api: Api) -> None:
    await api.apply(CM, "c", a_config_to_apply(a="1", b="2"), "me")
    await api.patch(CM, "c", {"data": {"z": "other"}}, fieldManager="you")

    applied = await api.apply(CM, "c", a_config_to_apply(a="1"), "me")

    assert applied.body["data"] == {"a": "1", "z": "other"}


async def test_apply_keeps_what_another_manager_holds_too(api: Api) -> None:
    await api.apply(CM, "c", a_config_to_apply(a="1", b="2"), "me")
    await api.apply(CM, "c", a_config_to_apply(b="2"), "you")

    applied = await api.apply(CM, "c", a_config_to_apply(a="1"), "me")

    assert applied.body["data"] == {"a": "1", "b": "2"}


async def test_apply_conflicts_over_a_field_of_another_manager(api: Api) -> None:
    await api.apply(CM, "c", a_config_to_apply(a="1"), "me")

    refused = await api.apply(CM, "c", a_config_to_apply(a="2"), "you")
    forced = await api.apply(CM, "c", a_config_to_apply(a="2"), "you", force="true")
    agreed = await api.apply(CM, "c", a_config_to_apply(a="2"), "me")

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    (cause,) = refused.body["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    assert cause["message"] == 'conflict with "me"'
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "me": .data.a'
    assert forced.body["data"] == {"a": "2"}
    assert agreed.code == 200


async def test_an_update_takes_fields_from_who_applied_them(api: Api) -> None:
    await api.apply(CM, "c", a_config_to_apply(a="1", b="1"), "me")
    await api.patch(CM, "c", {"data": {"a": "2"}}, fieldManager="you")

    refused = await api.apply(CM, "c", a_config_to_apply(a="1", b="1"), "me")

    assert refused.code == 409
    (cause,) = refused.body["details"]["causes"]
    assert cause["field"] == ".data.a"
    assert 'conflict with "you" using v1' in cause["message"]


async def test_apply_merges_keyed_lists_item_by_item(api: Api) -> None:
    await api.create(DEPLOYMENTS, a_deployment())
    config = a_deployment()
    container = {"name": "web", "image": "hello:1.0", "env": [{"name": "B", "value": "2"}]}
    config["spec"] = {"template": {"spec": {"containers": [container]}}}

    added = await api.apply(DEPLOYMENTS, "web", config, "me")
    container["env"] = []
    removed = await api.apply(DEPLOYMENTS, "web", config, "me")

    def env(answer: Obj) -> list[str]:
        (one,) = answer["spec"]["template"]["spec"]["containers"]
        return sorted(entry["name"] for entry in one["env"])

    assert env(added.body) == ["A", "B"]
    assert env(removed.body) == ["A"]


async def test_apply_removes_a_port_and_only_that(api: Api) -> None:
    def service(*ports: int) -> Obj:
        listed = [{"name": f"p{port}", "port": port} for port in ports]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"ports": listed, "selector": {"app": "web"}},
        }

    await api.apply("services", "web", service(80, 81), "me")
    applied = await api.apply("services", "web", service(81), "me")

    assert [port["port"] for port in applied.body["spec"]["ports"]] == [81]


async def test_apply_replaces_lists_of_custom_kinds(api: Api) -> None:
    canary = a_canary()
    canary["spec"]["analysis"]["stepWeights"] = [1, 2]
    await api.apply(CANARIES, "web", canary, "me")
    canary["spec"]["analysis"]["stepWeights"] = [3]

    applied = await api.apply(CANARIES, "web", canary, "me")

    assert applied.body["spec"]["analysis"]["stepWeights"] == [3]


async def test_apply_of_the_status_owns_the_status_only(api: Api) -> None:
    await api.create(CANARIES, a_canary())
    status = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "status": {"phase": "Failed", "canaryWeight": 5},
    }

    applied = await api.apply(CANARIES, "web", status, "me", "status")
    status["status"] = {"phase": "Failed"}
    again = await api.apply(CANARIES, "web", status, "me", "status")

    assert applied.body["status"] == {"phase": "Failed", "canaryWeight": 5}
    assert again.body["status"] == {"phase": "Failed"}
    entry = next(e for e in again.meta["managedFields"] if e["manager"] == "me")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:phase": {}}}


async def test_apply_names_its_manager(api: Api) -> None:
    answer = await api.patch(CM, "c", a_config_to_apply(a="1"), APPLY)

    assert answer.code == 422
    assert "fieldManager" in answer.body["message"]


async def test_apply_with_a_stale_version_is_a_conflict(api: Api) -> None:
    made = await api.create(CM, a_config())
    await api.patch(CM, "c", {"data": {"b": "2"}})
    config = a_config_to_apply(z="1")
    config["metadata"]["resourceVersion"] = made.version

    refused = await api.apply(CM, "c", config, "me")

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")


async def test_a_version_does_not_keep_apply_from_creating_but_a_uid_does(api: Api) -> None:
    config = a_config_to_apply(a="1")
    config["metadata"]["uid"] = "12345678-1234-1234-1234-123456789012"
    refused = await api.apply(CM, "c", config, "me")
    del config["metadata"]["uid"]
    config["metadata"]["resourceVersion"] = "1"

    made = await api.apply(CM, "c", config, "me")

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert made.code == 201


# Deleting


async def test_a_deleted_object_is_gone(api: Api) -> None:
    made = await api.create(CM, a_config())

    deleted = await api.delete(CM, "c")

    assert (deleted.code, deleted.body["status"]) == (200, "Success")
    assert deleted.body["details"]["uid"] == made.meta["uid"]
    assert (await api.get(CM, "c")).code == 404


async def test_another_object_of_that_name_is_not_deleted(api: Api) -> None:
    await api.create(CM, a_config())

    refused = await api.delete(CM, "c", {"preconditions": {"uid": "another"}})

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")


async def test_a_finalizer_holds_an_object(api: Api) -> None:
    config = a_config()
    config["metadata"]["finalizers"] = ["example.org/hold"]
    await api.create(CM, config)

    deleted = await api.delete(CM, "c")
    held = await api.get(CM, "c")
    added = await api.patch(CM, "c", {"metadata": {"finalizers": ["example.org/hold", "a.b/c"]}})
    await api.patch(CM, "c", {"metadata": {"finalizers": None}})

    assert deleted.code == 200
    assert held.meta["deletionTimestamp"]
    assert (added.code, added.body["reason"]) == (422, "Invalid")
    assert (await api.get(CM, "c")).code == 404


async def test_deleting_a_held_canary_counts_as_a_generation(api: Api) -> None:
    canary = a_canary()
    canary["metadata"]["finalizers"] = ["example.org/hold"]
    await api.create(CANARIES, canary)

    await api.delete(CANARIES, "web")

    assert (await api.get(CANARIES, "web")).meta["generation"] == 2
    await api.patch(CANARIES, "web", {"metadata": {"finalizers": []}})


async def test_a_collection_is_deleted_by_label(api: Api) -> None:
    for name in "ab":
        await api.create(CM, {"metadata": {"name": name, "labels": {"name": name}}})

    deleted = await api.delete(CM, labelSelector="name=a")

    assert deleted.code == 200
    assert (await api.get(CM, "a")).code == 404
    assert (await api.get(CM, "b")).code == 200


async def a_family(api: Api) -> None:
    parent = await api.create(CM, a_config("parent"))
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "parent", "uid": parent.meta["uid"]}
    child = a_config("child")
    child["metadata"]["ownerReferences"] = [{**ref, "blockOwnerDeletion": True}]
    assert (await api.create(CM, child)).code == 201


async def test_children_follow_their_owner(api: Api) -> None:
    await a_family(api)

    await api.delete(CM, "parent", {"propagationPolicy": "Background"})

    assert (await api.get(CM, "parent")).code == 404
    await api.gone(CM, "child")


async def test_children_go_before_their_owner_in_the_foreground(api: Api) -> None:
    await a_family(api)
    await api.patch(CM, "child", {"metadata": {"finalizers": ["example.org/hold"]}})

    await api.delete(CM, "parent", {"propagationPolicy": "Foreground"})

    async def going() -> bool:
        return "deletionTimestamp" in (await api.get(CM, "child")).meta

    await eventually(going, "the child is being deleted", 30)
    parent = await api.get(CM, "parent")
    await api.patch(CM, "child", {"metadata": {"finalizers": None}})

    assert parent.meta["finalizers"] == ["foregroundDeletion"]
    await api.gone(CM, "parent")


async def test_a_child_of_two_stays_with_the_other_owner(api: Api) -> None:
    await a_family(api)
    other = await api.create(CM, a_config("other"))
    refs = (await api.get(CM, "child")).meta["ownerReferences"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": other.meta["uid"]}
    await api.patch(CM, "child", {"metadata": {"ownerReferences": [*refs, ref]}})

    await api.delete(CM, "parent", {"propagationPolicy": "Foreground"})
    await api.gone(CM, "parent")

    child = await api.get(CM, "child")
    assert [ref["name"] for ref in child.meta["ownerReferences"]] == ["other"]


async def test_orphans_stay(api: Api) -> None:
    await a_family(api)

    await api.delete(CM, "parent", {"propagationPolicy": "Orphan"})
    await api.gone(CM, "parent")

    assert "ownerReferences" not in (await api.get(CM, "child")).meta


async def test_a_namespace_takes_its_contents_along(api: Api) -> None:
    await api.create(CM, a_config())
    name = api.namespace

    await api.delete("namespaces", name)
    await api.gone("namespaces", name)

    assert (await api.get(CM, "c")).code == 404


# Watching


async def test_a_watch_tells_what_happens_after_its_version(api: Api) -> None:
    await api.create(CM, a_config("before"))
    start = (await api.get(CM)).version

    async with api.watch(CM, resourceVersion=start) as events:
        await api.create(CM, a_config("c"))
        changed = await api.patch(CM, "c", {"data": {"a": "2"}})
        await api.delete(CM, "c")
        assert await events.told() == ("ADDED", "c")
        event = await events.next()
        assert event == {"type": "MODIFIED", "object": changed.body}
        event = await events.next()

    assert event is not None
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(changed.version)


async def test_a_watch_from_nothing_begins_with_what_there_is(api: Api) -> None:
    await api.create(CANARIES, a_canary("first"))

    async with api.watch(CANARIES) as events:
        assert await events.told() == ("ADDED", "first")
        await api.create(CANARIES, a_canary("second"))
        assert await events.told() == ("ADDED", "second")


async def test_objects_enter_and_leave_a_selection(api: Api) -> None:
    await api.create(CM, a_config())
    start = (await api.get(CM)).version

    async with api.watch(CM, resourceVersion=start, labelSelector="in=yes") as events:
        await api.patch(CM, "c", {"metadata": {"labels": {"in": "yes"}}})
        await api.patch(CM, "c", {"metadata": {"labels": {"in": "no"}}})
        await api.create(CM, {"metadata": {"name": "d", "labels": {"in": "yes"}}})
        seen = [await events.told() for _ in range(3)]

    assert seen == [("ADDED", "c"), ("DELETED", "c"), ("ADDED", "d")]


async def test_a_watch_can_begin_with_a_list_that_ends_in_a_bookmark(api: Api) -> None:
    await api.create(CANARIES, a_canary())

    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    async with api.watch(CANARIES, allowWatchBookmarks="true", **query) as events:
        assert await events.told() == ("ADDED", "web")
        event = await events.next()

    assert event is not None
    assert event["type"] == "BOOKMARK"
    meta = event["object"]["metadata"]
    assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(meta["resourceVersion"]) > 0


async def test_a_forgotten_version_is_gone(api: Api) -> None:
    await api.create(CANARIES, a_canary())

    async with api.watch(CANARIES, resourceVersion="1") as events:
        assert events.code == 200
        event = await events.next()

    assert event is not None
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_a_watch_ends_when_its_time_is_over(api: Api) -> None:
    start = (await api.get(CANARIES)).version

    async with api.watch(CANARIES, resourceVersion=start, timeoutSeconds="1") as events:
        assert await events.next() is None


# What kubectl asks


async def test_a_table_has_the_columns_of_the_kind(api: Api) -> None:
    await api.create(CANARIES, a_canary())
    await api.patch(
        CANARIES, "web", {"status": {"phase": "Progressing", "canaryWeight": 5}}, sub="status"
    )

    found = await api.get(CANARIES, accept="application/json;as=Table;v=v1;g=meta.k8s.io")

    assert found.body["kind"] == "Table"
    names = [column["name"] for column in found.body["columnDefinitions"]]
    assert names[:3] == ["Name", "Status", "Weight"]
    assert found.body["rows"][0]["cells"][:3] == ["web", "Progressing", "5"]
    assert found.body["rows"][0]["object"]["metadata"]["name"] == "web"


async def test_discovery_names_the_kinds(api: Api) -> None:
    groups = await api.call("GET", "/apis")
    found = await api.call("GET", "/apis/flagger.app/v1beta1")

    assert "flagger.app" in [group["name"] for group in groups.body["groups"]]
    rows = {row["name"]: row for row in found.body["resources"]}
    assert rows["canaries"]["kind"] == "Canary"
    assert rows["canaries"]["namespaced"] is True
    assert {"get", "list", "watch", "patch", "update"} <= set(rows["canaries"]["verbs"])
    assert "canaries/status" in rows
