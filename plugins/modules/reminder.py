# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of reminder; it is implemented as an action plugin, because it needs the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reminder
short_description: Find what waits for a decision, and word a reminder
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Finds the proposals that wait for a decision and returns the message that reminds of them. It sends nothing and writes nothing.
  - It runs on the control node, in Ansible's own process.
extends_documentation_fragment:
  - aiops.k8s.records
options:
  only:
    description: V(overdue) takes those that are past their SLA, V(waiting) takes all, those past their SLA first.
    type: str
    choices: [overdue, waiting]
    default: overdue
attributes:
  check_mode:
    support: full
    description: It only reads.
"""

EXAMPLES = r"""
- name: What is late
  aiops.k8s.reminder:
  register: late
"""

RETURN = r"""
count:
  description: How many proposals it is about. With 0 there is nothing to send.
  returned: success
  type: int
title:
  description: Title of the message.
  returned: success
  type: str
text:
  description: Lines of the message.
  returned: success
  type: list
  elements: str
severity:
  description: V(critical) when one of critical risk is past its SLA, V(warning) when another is, else V(info).
  returned: success
  type: str
facts:
  description: The same for programs.
  returned: success
  type: dict
records:
  description: The proposals, as M(aiops.k8s.list_records) returns them.
  returned: success
  type: list
  elements: dict
summary:
  description: How many records wait, are unfinished, and have ended.
  returned: success
  type: str
damaged:
  description: Numbers of records that do not verify.
  returned: success
  type: list
  elements: str
"""
