# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The audit checklist: every check with the requirement that it answers. docs/compliance.md shows the same table (tested)."""

from __future__ import annotations

from ansible_collections.aiops.k8s.plugins.module_utils.compliance.model import ERROR, WARNING, Check

_STORED = "All reports stored in PHRs and accessible for audit"
_BEFORE = "PHR recorded with architect approval timestamp before any action execution"
_SHARE = "PHR compliance: 100% of medium/critical operations documented with approval"
_DECIDES = "Architect reviews recommendation via PHR and approves/rejects"
_OUTCOME = "Outcome documented in PHR with post-action validation"
_ROLLBACK = "Rollback procedures tested and verified for all operational changes"
_SLA = "Approval workflow with SLA definitions"
_SECRETS = "Records and PHRs hold no secrets"

# checks that look at records only
OFFLINE = (
    Check("R01", "The record's file is a regular one that not everybody may write, and can be read", _STORED, ERROR, "records"),
    Check("R02", "The chain of events verifies: nothing was edited, removed, added or moved", _STORED, ERROR, "records"),
    Check("R03", "The record is in its own place and has the shape of a record", _STORED, ERROR, "records"),
    Check("R04", "Times do not go backwards and are not in the future", _BEFORE, ERROR, "records"),
    Check("R05", "What a record says about the record before it is true", _STORED, ERROR, "records"),
    Check("R06", "No record was removed", _STORED, ERROR, "records"),
    Check("R07", "No record is a copy of another one", _SHARE, ERROR, "records"),
    Check("R08", "Plan, evidence and requester are those that the digest names", _DECIDES, ERROR, "records with a plan"),
    Check("R09", "Approvals are for this plan, in time, and by somebody who was allowed to", _DECIDES, ERROR, "approvals"),
    Check("R10", "Signatures of decisions hold", _DECIDES, ERROR, "signed decisions"),
    Check("R11", "Each operation was carried out under its approval, while that was valid", _BEFORE, ERROR, "operations"),
    Check("R12", "No change was carried out twice", _BEFORE, ERROR, "operations"),
    Check("R13", "Changes were undone only after a failed check, or by an approved rollback", _ROLLBACK, ERROR, "records with an undoing"),
    Check("R14", "Medium and critical operations are documented with plan and approval", _SHARE, ERROR, "medium and critical operations"),
    Check("R15", "Decisions were made within their SLA", _SLA, WARNING, "decided or expired proposals"),
    Check("R16", "No proposal waits for a decision past its SLA", _SLA, WARNING, "waiting proposals"),
    Check("R17", "Operations are ended, and what became of them is recorded", _OUTCOME, WARNING, "approved records"),
    Check("R18", "No stored policy is laxer than the policy file in force", _DECIDES, WARNING, "records with a plan"),
    Check("R19", "The PHR and its plots are there and say what the record says", _STORED, ERROR, "records"),
    Check("R20", "Records hold no secrets", _SECRETS, ERROR, "records"),
    Check("R21", "Records are those that the git remote holds, and its history was not rewritten", _STORED, ERROR, "records"),
    Check("R22", "Records still hold everything that an earlier report saw", _STORED, ERROR, "records of the earlier report"),
)
# checks that compare records with the cluster
CLUSTER = (
    Check("C01", "Every change made as aiops.k8s has its record", _SHARE, ERROR, "objects written by aiops.k8s"),
    Check("C02", "The digest on a changed object is that of its record", _BEFORE, ERROR, "marked objects"),
    Check("C03", "aiops.k8s wrote only while a record was carried out", _BEFORE, ERROR, "objects written by aiops.k8s"),
    Check("C04", "Recorded changes are in the cluster", _OUTCOME, WARNING, "changes in effect"),
    Check("C05", "What was not carried out is not in the cluster", _BEFORE, ERROR, "records of this cluster that changed nothing"),
    Check("C06", "With cluster=required, everything that had to be compared could be read", _SHARE, ERROR, "kinds of objects"),
)
CHECKS = {check.code: check for check in (*OFFLINE, *CLUSTER)}
