"""A released migration is never edited.

Otherwise databases that have already run the migration would differ from new databases.
"""

import hashlib
from pathlib import Path

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"
#: SHA-256 of each released migration. Add a line with each new one; never change a line.
FROZEN = {
    "0001_sagas_and_journal.py": "fa96051a574161cba418b4b7d27016262ae41a6465c53dd8ce314ffe840d2ea8",
    "0002_replicas.py": "1eba0f366557a496b779f585d988d38c2db62dfaf6d455a6f9cd34443ffbffce",
    "0003_events.py": "fed19c35aefb0e0255d0066cae711cc690dbdbada459ecb842f04dcc03caf08f",
    "0004_entered_at.py": "d993bcf22a7f14297bd41e3ea7619be6c377b0befe8fa4014f40830137f6389e",
    "0005_access.py": "f844c91edc0760297159bf26a7805f8619062182c71093ba54763ca4554e2ca2",
    "0006_tables_keys_and_times.py": "03e4f9818c81eb9cbde5cf59398dbd8d026330c4ddb3550e68180adad70621ef",
    "0007_lighter_journal_trigger.py": "d715cb0651cef6168abda3d2f002ce3ae2a64b035c677f26d2cf4396f20c2274",
    "0008_waiting.py": "4bf609e7bfe9d93c75e25297a0b59b58cfc0c6d925a70a50808b454270f2cc7d",
    "0009_tags.py": "b31f505def97aabdbef352a7d60fbcc4c6f14a4f667ac9d91887453eff103dcd",
    "0010_webhooks.py": "d0dd7d11fcd240738ec5f989ebcac2d059db5567c433e70d4dc1b9aa4a56a967",
    "0011_schedules.py": "3ee3db8cd6778559ee48974991e00dec65ef80c17706746368ff41123e6c1efa",
    "0012_children.py": "317f92e5af1acc10e3dea5630257ac01c37d599b78b0ee509f5db370c8e0955e",
    "0013_participants.py": "d1446b8ae9f726efd09c13dc1ebcb6b4a265496b0d625fa0c6d14fc65afbdc17",
    "0014_bulk_jobs.py": "08cd714b6da4f88c64750d0b59dd106444d00fd97be5daae9d728415156c7775",
    "0015_key_limits.py": "21cd365e9c17373f42c3a56e1878209b5cf4f6d3413e590c5f9361bd8260436d",
    "0016_still_unknown.py": "60b4558d4b1a1d3a7be7d443165e1425b99bf5e16d432a484020a838c31b9d4d",
    "0017_processes.py": "b86bebbc55c2f27e9a7d6d9652a75188a2d3580e644a0b7dd9e75d50622714d7",
    "0018_accounts.py": "2e1692b77189f770fcac9af5bf2f8c6f94eb76333aac56378363e8ec90df3477",
    "0019_cases.py": "fe37bcd33969b8668c5ae1cada78f2c11076ec01b616673c02e21e82921666a2",
    "0020_second_factor.py": "4f659b13c9fc60a349770c25b00472e10815683e563232ee20fef23379530dba",
    "0021_notices.py": "c3911138e28d78adcd2147d2c3b71f1c3d67b249743b50dfa6a977f53a65e035",
    "0022_relay_parts.py": "0e058cd400985c533297841f9059c6dea5d38e44fa3ae19774f8a47685eeeb70",
    "0023_search.py": "5161cbb8df8d2352b98a651f556c434212c7e6dfdcabf7875cbc302b30005727",
    "0024_tenants.py": "5151d4c8c1d5e5a48f9fa211c1bef773cf1507893423978c9e8e7578cd01f977",
    "0025_failed_sign_ins.py": "83722a9f6ca737223e0cd1cd3d6d7d9af915bc386571a5964e033d28195a827c",
    "0026_single_sign_on.py": "863a018d46034ab37670ac8923ef6c997f07fa9659be5d3ee3d5359ac8700c3b",
    "0027_request_keys.py": "d1c1964d5eac5d60ae3938d8faa5b5904ddbfc8f019ef690e7a566861ef728f3",
    "0028_presence.py": "2ff049349dae76a434e0e1fa5bc8150c845f3c3089dbd64c29baa3b458f0e57c",
    "0029_saved_views.py": "fba44fefdaceea45828c8fbfb1b188822a8b511ec976df383a5666c4268e63fd",
    "0030_releases.py": "8db97ab4eb4ccdda3075b917f64945ed952d4dabb044dbf8930ce56392a4b951",
    "0031_outbox_without_foreign_key.py": "79551d277e1c68899216a6fc32f6e522a6846626b987b25432125a3e6b648f77",
    "0032_tenants_of_schedules.py": "c559de1831d39e267827a3b895247099937038e7d9c2931d458d0c97691ed818",
    "0033_data_keys.py": "859ecc64e61970b72132c5623cbe7ad00af7d4f66259556959e5f2836fb239e3",
    "0035_tenants_of_events.py": "8d431b7247440107e3ea16a04eb5079117835348be4ed6c479d46f5e9841aa80",
    "0036_id_end.py": "8997a3510da60aa747a86c2292b96894d7ec1aed21778e2f1788fdcc52580a9b",
}


def test_no_released_migration_was_edited():
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VERSIONS.glob("*.py")}
    assert {name: digest for name, digest in found.items() if name in FROZEN} == FROZEN


def test_every_migration_is_frozen():
    assert {file.name for file in VERSIONS.glob("*.py")} == FROZEN.keys(), "add its SHA-256 to FROZEN"
