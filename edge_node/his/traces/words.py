"""What the actions of the audit log are called. Data."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.i18n import Text, text

# In the order of the filter: looking, records, the doctor's work, people, the node. An action that is not here is shown
# as it is written.
ACTIONS: Mapping[str, Text] = {
    "viewed": text("looked at"),
    "id_number_shown": text("showed the whole ID number"),
    "patient_created": text("made a record"),
    "patient_changed": text("changed a record"),
    "allergies_asked": text("asked about allergies"),
    "allergy_recorded": text("recorded an allergy"),
    "allergy_ended": text("ended an allergy"),
    "registered": text("registered"),
    "registration_cancelled": text("cancelled a registration"),
    "encounter_begun": text("began an encounter"),
    "encounter_put_back": text("put a patient back in the queue"),
    "note_saved": text("saved a note"),
    "note_conflict_settled": text("settled two states of a note"),
    "note_signed": text("signed a note"),
    "prescription_saved": text("saved a prescription"),
    "prescription_signed": text("signed a prescription"),
    "signed_in": text("signed in"),
    "signed_out": text("signed out"),
    "sign_in_failed": text("sign-in failed"),
    "password_changed": text("changed the password"),
    "password_reset": text("got a first password"),
    "second_factor_added": text("set up a second factor"),
    "second_factor_removed": text("removed the second factor"),
    "staff_added": text("was added to the staff"),
    "settings_changed": text("changed settings"),
    "catalogue_imported": text("imported a catalogue"),
    "copy_ordered": text("gave an order about a copy"),
    "drill_sentinel": text("marked the log for a drill"),
    "message_revived": text("sent a dead letter again"),
    "message_buried": text("gave up a dead letter"),
    "promoted": text("made this node the clinic's"),
}

KINDS: Mapping[str, Text] = {
    "patient": text("record"),
    "registration": text("registration"),
    "encounter": text("encounter"),
    "prescription": text("prescription"),
    "staff": text("staff"),
    "audit": text("audit log"),
    "setting": text("settings"),
}
