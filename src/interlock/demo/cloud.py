"""The agent's AWS: unmodified boto3 behind Interlock; and the truth, asked of the tool itself."""

from __future__ import annotations

import contextlib
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from .stage import Stage

REGION = "us-east-1"
REPORTS, BACKUPS = "quarterly-reports", "old-backups"
IMAGE = "ami-12c6146b"  #: one of moto's own


def point_at(stage: Stage, environ: MutableMapping[str, str]) -> None:
    """Set what AWS SDKs read from the environment, and nothing else: no code changes."""
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]  # no profile or key of the person who runs this
    environ.update(
        {
            "AWS_ENDPOINT_URL": f"{stage.agents}/t/aws",
            "AWS_ACCESS_KEY_ID": stage.agent_key,
            "AWS_SECRET_ACCESS_KEY": "unused",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )


@dataclass(frozen=True, slots=True)
class World:
    """What is in the account before the tour: ids of two instances."""

    shop: str  #: serves customers
    batch: str  #: has nothing to do any more


class Truth:
    """Asks the AWS server itself, past Interlock: the tour's witness."""

    def __init__(self, stage: Stage, boto3: Any) -> None:
        session = boto3.session.Session(
            aws_access_key_id="witness",
            aws_secret_access_key="x",  # noqa: S106 (moto asks for none)
            region_name=REGION,
        )
        self.s3, self.ec2, self.iam = (
            session.client(name, endpoint_url=stage.aws) for name in ("s3", "ec2", "iam")
        )

    def furnish(self) -> World:
        """Put buckets, an object and two instances into the account."""
        for bucket in (REPORTS, BACKUPS):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_object(Bucket=REPORTS, Key="2026/q3.csv", Body=b"region,total\nnorth,41\n")
        return World(shop=self._instance("web-shop"), batch=self._instance("batch-2019"))

    def _instance(self, name: str) -> str:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        made = self.ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=tags,
        )
        return str(made["Instances"][0]["InstanceId"])

    def has_bucket(self, name: str) -> bool:
        return name in {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}

    def is_public(self, name: str) -> bool:
        grants = self.s3.get_bucket_acl(Bucket=name)["Grants"]
        return any("AllUsers" in grant["Grantee"].get("URI", "") for grant in grants)

    def text(self, key: str) -> str | None:
        """Return an object of the reports, or None."""
        with contextlib.suppress(self.s3.exceptions.NoSuchKey):
            body: bytes = self.s3.get_object(Bucket=REPORTS, Key=key)["Body"].read()
            return body.decode()
        return None

    def is_running(self, instance: str) -> bool:
        found = self.ec2.describe_instances(InstanceIds=[instance])
        return bool(found["Reservations"][0]["Instances"][0]["State"]["Name"] == "running")

    def has_user(self, name: str) -> bool:
        return name in {user["UserName"] for user in self.iam.list_users()["Users"]}
