"""What services stand on: migrations before the rollout, databases, Secrets, and whoever brings them."""

import hashlib

import pytest
import yaml

from libs.runtime.settings import Settings
from tests.k8s import chart
from tests.k8s.test_values import refusal

WITH_DATABASE = {name for name, facts in chart.PLATFORM["services"].items() if facts["database"]}
REGION = chart.profile("region")
EXTERNAL = {"externalSecrets": {"enabled": True, "store": {"name": "v"}, "platformKey": "k", "databasesKey": "d"}}


def migration(values: dict | None = None, *, is_upgrade: bool = False) -> dict:
    (job,) = chart.of_kind("Job", values, is_upgrade=is_upgrade).values()
    return job


def hook(one: dict) -> str:
    return one["metadata"].get("annotations", {}).get("helm.sh/hook", "")


def test_migrations_come_before_the_rollout_and_hold_it_up():
    for is_upgrade in (False, True):
        job = migration(is_upgrade=is_upgrade)
        assert hook(job) == "pre-install,pre-upgrade"
        # A failed Job stays until the next attempt takes its place.
        assert job["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"


def test_each_database_is_migrated_by_a_container_of_its_own():
    pod = migration()["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert {container["name"] for container in pod["containers"]} == WITH_DATABASE
    for container in pod["containers"]:
        module = container["name"].replace("-", "_")
        assert container["args"] == [f"services.{module}", "migrate"]
        url = chart.environment(container)["NHIP_DATABASE_URL"]
        assert url == {"secretKeyRef": {"name": "nhip-databases", "key": module}}
        variables = {**chart.environment(container), "NHIP_DATABASE_URL": "postgresql://from-a-secret"}
        assert Settings.read(module, variables).database_url
        # It reads none of the platform's secrets, so that it is given none.
        assert [mount["name"] for mount in container["volumeMounts"]] == ["tmp"]


def test_a_migration_needs_nothing_that_the_release_itself_brings():
    pod = migration()["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod


@pytest.mark.parametrize("values", [REGION, EXTERNAL], ids=["databases", "secrets"])
def test_where_the_release_brings_the_ground_the_first_installation_migrates_beside_it(values):
    first = migration(values)
    assert hook(first) == ""
    assert hook(migration(values, is_upgrade=True)) == "pre-install,pre-upgrade"
    # Jobs cannot be changed: another image is another Job.
    other = migration(chart.laid(values, {"image": {"tag": "2.0.0"}}))
    assert first["metadata"]["name"] != other["metadata"]["name"]


@pytest.mark.parametrize(
    "change",
    [
        {"migrations": {"resources": {"limits": {"memory": "1Gi"}}}},
        {"imagePullSecrets": [{"name": "registry"}]},
        {"podSecurityContext": {"runAsUser": 10002}},
    ],
)
def test_whatever_changes_in_a_job_that_stands_beside_the_release_makes_another(change):
    # Argo CD renders as for a first installation, and no Job can be changed.
    first, other = migration(REGION), migration(chart.laid(REGION, change))
    assert first["spec"] != other["spec"]
    assert first["metadata"]["name"] != other["metadata"]["name"]


def test_each_migration_may_fail_as_often_as_it_is_allowed_without_spending_the_others_restarts():
    # Kubernetes adds up the restarts of all containers, and those of a new cluster all fail until it is there.
    spec = migration(REGION)["spec"]
    assert spec["backoffLimit"] == 6 * len(WITH_DATABASE)
    assert migration({"migrations": {"backoffLimit": 0}})["spec"]["backoffLimit"] == 0


def test_migrations_may_be_left_to_others():
    assert not chart.of_kind("Job", {"migrations": {"enabled": False}})


def test_a_service_reads_the_url_of_its_own_database():
    pods = chart.pods()
    for name in WITH_DATABASE:
        reference = chart.environment(pods[name]["containers"][0])["NHIP_DATABASE_URL"]["secretKeyRef"]
        assert reference == {"name": "nhip-databases", "key": name.replace("-", "_")}
    assert "NHIP_DATABASE_URL" not in chart.environment(pods["edge"]["containers"][0])


def test_tls_to_an_external_database_is_demanded_through_the_driver():
    values = {"databases": {"sslMode": "verify-full", "caSecret": {"name": "authority"}}}
    job = migration(values)["spec"]["template"]["spec"]
    for pod, container in ((chart.pods(values)["claims"], chart.pods(values)["claims"]["containers"][0]),
                           (job, job["containers"][0])):  # fmt: skip
        variables = chart.environment(container)
        assert variables["PGSSLMODE"] == "verify-full"
        volume = next(one for one in pod["volumes"] if one.get("secret", {}).get("secretName") == "authority")
        mount = next(one for one in container["volumeMounts"] if one["name"] == volume["name"])
        assert variables["PGSSLROOTCERT"] == f"{mount['mountPath']}/{volume['secret']['items'][0]['path']}"
    production = chart.environment(chart.pods(chart.profile("production"))["claims"]["containers"][0])
    assert production["PGSSLMODE"] == "require"


def test_cloudnativepg_brings_a_database_for_each_service_in_the_cluster_that_names_it():
    clusters = chart.of_kind("Cluster", REGION)
    assert set(clusters) == {"records-db", "ground-db"}
    found = {
        name: (one["spec"]["cluster"]["name"], one["spec"]["name"], one["spec"]["owner"])
        for name, one in chart.of_kind("Database", REGION).items()
    }
    assert set(found) == WITH_DATABASE
    assert found["records"] == ("nhip-records-db", "nhip_records", "nhip")
    assert found["patient-index"] == ("nhip-ground-db", "nhip_patient_index", "nhip")
    for one in [*clusters.values(), *chart.of_kind("Database", REGION).values()]:
        # An uninstalled release leaves its data.
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_postgresql_s_own_pods_are_none_of_the_platform_s():
    everybody = chart.of_kind("NetworkPolicy", REGION)["default"]["spec"]["podSelector"]["matchLabels"].items()
    for cluster in chart.of_kind("Cluster", REGION).values():
        assert not everybody <= cluster["metadata"]["labels"].items()


def test_a_service_reaches_its_cluster_by_the_operator_s_secret_and_checks_its_certificate():
    pod = chart.pods(REGION)["patient-index"]
    variables = chart.environment(pod["containers"][0])
    assert variables["NHIP_DATABASE_PASSWORD"] == {"secretKeyRef": {"name": "nhip-ground-db-app", "key": "password"}}
    names = [one["name"] for one in pod["containers"][0]["env"]]
    # Kubernetes puts in what was defined before.
    assert names.index("NHIP_DATABASE_PASSWORD") < names.index("NHIP_DATABASE_URL")
    host = "nhip-ground-db-rw:5432"
    assert variables["NHIP_DATABASE_URL"] == f"postgresql://nhip:$(NHIP_DATABASE_PASSWORD)@{host}/nhip_patient_index"
    assert variables["PGSSLMODE"] == "verify-full"
    authority = next(one["secret"] for one in pod["volumes"] if one["name"] == "database-authority")
    # The Secret holds the authority's key as well, which is none of the pod's business.
    assert authority == {"secretName": "nhip-ground-db-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_migrations_check_the_certificate_of_each_cluster():
    pod = migration(REGION)["spec"]["template"]["spec"]
    authorities = {one["name"]: one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
    mounted = {one["name"]: authorities[one["volumeMounts"][1]["name"]] for one in pod["containers"]}
    assert mounted["records"] == "nhip-records-db-ca"
    assert {name for name, secret in mounted.items() if secret == "nhip-ground-db-ca"} == WITH_DATABASE - {"records"}


def test_connections_of_all_replicas_fit_into_their_cluster():
    for profile in ("region", "centre"):
        values = chart.profile(profile)
        limits = {
            name: int(one["spec"]["postgresql"]["parameters"]["max_connections"])
            for name, one in chart.of_kind("Cluster", values).items()
        }
        wanted = dict.fromkeys(limits, 0)
        scalers = chart.of_kind("HorizontalPodAutoscaler", values)
        for name, database in chart.of_kind("Database", values).items():
            pool = int(chart.environment(chart.pods(values)[name]["containers"][0])["NHIP_POOL_SIZE"])
            # A pool's connections, one that listens, and one replica more while a rollout replaces them.
            replicas = scalers[name]["spec"]["maxReplicas"] + 1
            wanted[database["spec"]["cluster"]["name"].removeprefix("nhip-")] += (pool + 1) * replicas
        for name, connections in wanted.items():
            assert connections < limits[name], (profile, name)


def test_a_service_without_a_cluster_or_with_two_fails_with_advice():
    storage = {"size": "1Gi"}
    one = {"services": sorted(WITH_DATABASE - {"audit"}), "storage": storage}
    both = {"services": sorted(WITH_DATABASE), "storage": storage}
    for clusters, count in (({"a": one}, 0), ({"a": both, "b": {"services": ["audit"], "storage": storage}}, 2)):
        said = refusal({"databases": {"cloudNativePg": {"enabled": True, "clusters": clusters}}})
        assert f"audit stands in {count} clusters" in said


@pytest.mark.parametrize(
    ("backup", "spec", "said"),
    [
        ({"method": "plugin", "objectStore": "nightly"}, {"pluginConfiguration"}, "objectStore"),
        ({"method": "volumeSnapshot", "snapshotClass": "fast"}, set(), "snapshotClass"),
    ],
)
def test_backups_are_scheduled_and_need_somewhere_to_go(backup, spec, said):
    def values(settings: dict) -> dict:
        clusters = {"records": {"backup": {**settings, "schedule": "0 0 2 * * *"}}}
        return chart.laid(REGION, {"databases": {"cloudNativePg": {"clusters": clusters}}})

    scheduled = chart.of_kind("ScheduledBackup", values(backup))
    assert set(scheduled) == {"records-db"}
    assert scheduled["records-db"]["spec"]["schedule"] == "0 0 2 * * *"
    assert spec <= set(scheduled["records-db"]["spec"])
    assert said in refusal(values({"method": backup["method"]}))


def test_external_secrets_make_the_secrets_that_pods_read():
    made = {one["spec"]["target"]["name"]: one for one in chart.objects(EXTERNAL) if one["kind"] == "ExternalSecret"}
    assert {name: one["spec"]["dataFrom"][0]["extract"]["key"] for name, one in made.items()} == {
        "nhip-secrets": "k",
        "nhip-databases": "d",
    }
    assert "externalSecrets.store.name" in refusal(chart.laid(EXTERNAL, {"externalSecrets": {"store": {"name": ""}}}))
    both = chart.laid(REGION, EXTERNAL)
    assert set(chart.of_kind("ExternalSecret", both)) == {"secrets"}


def test_the_name_of_an_installing_migration_follows_from_what_it_runs():
    name = migration(REGION)["metadata"]["name"]
    assert name == migration(chart.laid(REGION, {"logLevel": "DEBUG"}))["metadata"]["name"]
    assert len(name.removeprefix("nhip-migrate-")) == len(hashlib.sha256().hexdigest()[:8])


def test_databases_for_development_are_those_that_services_have():
    objects = [*yaml.safe_load_all((chart.ROOT / "k8s/development/postgres.yaml").read_text(encoding="utf-8"))]
    script = next(one for one in objects if one["kind"] == "ConfigMap")["data"]["databases.sql"]
    assert {line.split()[2].rstrip(";") for line in script.splitlines()} == {
        f"nhip_{name.replace('-', '_')}" for name in WITH_DATABASE
    }
