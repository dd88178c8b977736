"""What clients ask when they start: regions, and whether the account uses KMS."""

from __future__ import annotations

from bulkseed.service.context import Context
from bulkseed.wire.actions import describe_account_kms_status, describe_regions, open_kms_service

REGIONS = (  # API metadata 2024-06
    *("cn-qingdao", "cn-beijing", "cn-zhangjiakou", "cn-huhehaote", "cn-wulanchabu", "cn-hangzhou"),
    *("cn-shanghai", "cn-shenzhen", "cn-heyuan", "cn-guangzhou", "cn-chengdu", "cn-hongkong"),
    *("ap-northeast-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
    *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "us-east-1", "us-west-1", "eu-west-1"),
    *("eu-central-1", "ap-south-1", "me-east-1", "cn-hangzhou-finance", "cn-shanghai-finance-1"),
    *("cn-shenzhen-finance-1", "cn-beijing-finance-1"),
)


def regions(context: Context, _asked: describe_regions.Request, /) -> describe_regions.Reply:
    """Return every region, the one of this service among them."""
    names = dict.fromkeys((*REGIONS, context.service.account.region))
    return describe_regions.Reply(context.request_id, tuple(describe_regions.Region(name) for name in names))


def status(
    context: Context, _asked: describe_account_kms_status.Request, /
) -> describe_account_kms_status.Reply:
    """Say that the account uses KMS."""
    return describe_account_kms_status.Reply(context.request_id, "Enabled")


def open_service(context: Context, _asked: open_kms_service.Request, /) -> open_kms_service.Reply:
    """Do nothing: it is open."""
    return open_kms_service.Reply(context.request_id)
