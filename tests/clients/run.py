#!/usr/bin/python3
"""Real S3 clients, Debian's and current, over http and https, against one of the ways to run.

    tests/clients/run.py --target sqlite|pg|minio [--only WORDS] [--full] [--threads N]
    tests/clients/run.py --endpoint URL --access-key A --secret-key S [--region R] [--ca FILE]

--only runs the tests whose "client/scheme name" contains the words; --list names them. The last
line is "N passed, N failed".
"""

import argparse
import fnmatch
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from clients import awscli, boto3_process, malformed, meaning, ranges, rclone, raw, s3cmd
from harness.data import Data
from harness.runner import Results, run_lanes
from harness.targets import WAYS, Endpoint, Target
from harness.workspace import Workspace

LANES = (awscli.OldAws, awscli.NewAws, boto3_process.OldBoto3, boto3_process.NewBoto3,
         s3cmd.OldS3cmd, s3cmd.NewS3cmd, rclone.OldRclone, rclone.NewRclone, raw.Raw, meaning.Meaning,
         ranges.Ranges, malformed.Malformed)
PAYLOAD_KINDS = ("signed", "unsigned", "streaming-signed", "streaming-signed-trailer",
                 "streaming-unsigned-trailer")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=WAYS, help="start this and test it")
    parser.add_argument("--endpoint", help="test a server that runs already")
    parser.add_argument("--access-key", default="")
    parser.add_argument("--secret-key", default="")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--ca", help="CA file for an https endpoint")
    parser.add_argument("--only", default="", metavar="WORDS")
    parser.add_argument("--lanes", default="*", metavar="PATTERNS",
                        help="clients over a scheme, as *-new/https,raw/*")
    parser.add_argument("--full", action="store_true", help="all of /usr/share/doc")
    parser.add_argument("--threads", type=int, default=4, help="clients at a time")
    args = parser.parse_args()
    if bool(args.target) == bool(args.endpoint):
        parser.error("give either --target or --endpoint")
    return args


def payload_kinds_met(gateways):
    """The gateways' own counters must show that every way to sign a body was used."""
    met = {}
    for gateway in gateways:
        for labels, value in gateway.metric("kiseki_payload_kinds_total").items():
            met[labels] = met.get(labels, 0) + value
    missing = [k for k in PAYLOAD_KINDS if not met.get(f'kind="{k}"')]
    if missing:
        raise AssertionError(f"kiseki_payload_kinds_total lacks {missing}: {met}")


def no_failed_requests(gateways):
    """No test here makes the server fail inside: a 500 is a fault even if a client retried."""
    for gateway in gateways:
        for labels, value in gateway.metric("kiseki_requests_total").items():
            if value and 'status="500"' in labels:
                raise AssertionError(f"{gateway.process.name} answered 500: {labels} {value}")


def main():
    args = arguments()
    results = Results()
    with Workspace("clients") as ws:
        gateways = []
        if args.endpoint:
            endpoints = [Endpoint("kiseki", args.endpoint, args.access_key, args.secret_key,
                                  args.region, args.ca)]
        else:
            target = Target(ws, args.target)
            gateways = target.gateways
            endpoints = list(target.endpoints.values())
        data = Data(ws, args.full)
        lanes = [kind(endpoint, ws.path(f"{kind.label}-{endpoint.scheme}"), data, args.full)
                 for kind in LANES for endpoint in endpoints
                 if any(fnmatch.fnmatchcase(f"{kind.label}/{endpoint.scheme}", pattern)
                        for pattern in args.lanes.split(","))]
        run_lanes(lanes, results, args.only, args.threads)
        if gateways and not args.only:
            if any(isinstance(lane, raw.Raw) for lane in lanes):  # it sends them all
                results.run("metrics all payload kinds were met",
                            lambda: payload_kinds_met(gateways))
            results.run("metrics no request failed inside", lambda: no_failed_requests(gateways))
        results.run("servers end well", ws.end)
        ws.failed = results.failed > 0
    return results.finish()


if __name__ == "__main__":
    sys.exit(main())
