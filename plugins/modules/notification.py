# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of notification; it is implemented as an action plugin, which runs the modules that send."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: notification
short_description: Send one message to webhooks, Slack and by mail
version_added: 0.1.0
author: aiops.k8s contributors (@aiops-k8s)
description:
  - Sends with M(ansible.builtin.uri), M(community.general.slack) and M(community.general.mail). Use the role C(aiops.k8s.notify), which
    keeps secrets out of the output; a task of your own needs C(no_log=true).
  - It never fails because of a channel. Each that fails is a warning with the reason, and the others are sent to. Each may take 10 seconds.
  - Texts are taken as untrusted. Control characters and Slack's mark-up do not get through.
options:
  channels:
    description: >-
      List of channels, each a mapping with C(type) (C(webhook), C(slack) or C(mail)) and the keys of its type. See docs/notify.md.
      Without this option the variable C(notify_channels) is taken, and should it not be possible to evaluate that, no line of it is shown.
    type: raw
  title:
    description: Title, one line.
    type: raw
    default: ""
  text:
    description: Lines of plain text, as a list or as one text.
    type: raw
    default: ""
  severity:
    description: V(info), V(warning) or V(critical).
    type: raw
    default: info
  facts:
    description: Mapping of values for programs. Those that are no list or mapping also stand below the text in Slack and in mails.
    type: raw
    default: {}
  only_check:
    description: Send nothing; only return what is wrong with O(channels). None at all is wrong too.
    type: bool
    default: false
requirements:
  - python >= 3.11
  - community.general >= 8.0.0, for Slack and mail
attributes:
  check_mode:
    support: full
    description: It sends nothing.
  diff_mode:
    support: none
    description: Not supported.
"""

EXAMPLES = r"""
- name: Tell a webhook
  aiops.k8s.notification:
    channels:
      - type: webhook
        url: "{{ vaulted_url }}"
    title: Two proposals wait for a decision
    text: ["0007 and 0008"]
  no_log: true
  register: told
"""

RETURN = r"""
notifications:
  description: What became of each channel. It holds no address and no secret.
  returned: success
  type: list
  elements: dict
  contains:
    channel: {description: "Its name, or its type and place in the list.", type: str}
    type: {description: "Its type, or empty when that is not known.", type: str}
    ok: {description: Whether it took the message., type: bool}
    reason: {description: "Why not, or empty.", type: str}
    seconds: {description: How long it took., type: float}
faults:
  description: What is wrong with definitions of channels. Nothing was sent to those.
  returned: success
  type: list
  elements: str
"""
