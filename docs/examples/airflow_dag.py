"""One refresh a night for each tenant, as an Airflow DAG: put it into the folder of DAGs of a worker with the checkout."""

import subprocess
from datetime import UTC, datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException

CHECKOUT = "/srv/nextwise"
TENANTS = ("demo",)
MAY_PASS = {69}  # the store or MLflow did not answer: retry
BUSY = 75  # another refresh of the tenant is at it: leave it to that one


@dag(
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a refresh looks at all that is there: one makes up for the nights that were missed
    max_active_runs=1,
    default_args={"retries": 4, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
)
def nextwise_refresh() -> None:
    """Every tenant on its own: one that fails keeps no other waiting."""

    @task(execution_timeout=timedelta(hours=4))
    def refresh(tenant: str) -> str:
        command = [f"{CHECKOUT}/.venv/bin/python", "-m", "training", "refresh", "--tenant", tenant, "--json"]
        run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        print(run.stderr)
        if run.returncode == BUSY:
            raise AirflowSkipException(run.stderr)
        if run.returncode in MAY_PASS:
            raise AirflowException(run.stderr)
        if run.returncode:
            raise AirflowFailException(run.stderr)
        return run.stdout  # the summary: what serves now, the verdict and its reason

    refresh.expand(tenant=list(TENANTS))


nextwise_refresh()
