"""What the actions of the audit log are called. Data."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.i18n import Text, text

# In the order of the filter: looking, records, the doctor's work, people, the node. An action that is not here is shown
# as it is written.
ACTIONS: Mapping[str, Text] = {
    "viewed": text("looked at"),
    "id_number_shown": text("showed the whole ID number"),
    "contact_shown": text("showed a whole phone or address"),
    "patient_created": text("made a record"),
    "patient_changed": text("changed a record"),
    "patients_merged": text("merged two records"),
    "merge_undone": text("undid a merge"),
    "patients_told_apart": text("said that two records are of different people"),
    "telling_apart_undone": text("took back that two records are of different people"),
    "allergies_asked": text("asked about allergies"),
    "allergy_recorded": text("recorded an allergy"),
    "allergy_ended": text("ended an allergy"),
    "registered": text("registered"),
    "registration_cancelled": text("cancelled a registration"),
    "registered_return": text("registered a return of the same day"),
    "encounter_begun": text("began an encounter"),
    "encounter_put_back": text("put a patient back in the queue"),
    "called_again": text("called a patient again"),
    "note_saved": text("saved a note"),
    "note_conflict_settled": text("settled two states of a note"),
    "note_signed": text("signed a note"),
    "note_printed": text("printed a note"),
    "prescription_saved": text("saved a prescription"),
    "prescription_discarded": text("discarded an unsigned prescription"),
    "prescription_signed": text("signed a prescription"),
    "order_given": text("gave an order"),
    "order_cancelled": text("cancelled an order"),
    "order_carried_out": text("carried out an order"),
    "order_not_carried_out": text("recorded that an order was not carried out"),
    "order_corrected": text("corrected what was recorded of an order"),
    "skin_test_placed": text("placed a skin test"),
    "skin_test_read": text("read a skin test"),
    "prescription_printed": text("printed a prescription"),
    "note_template_saved": text("kept a template of notes"),
    "note_template_retired": text("retired a template of notes"),
    "signed_in": text("signed in"),
    "signed_out": text("signed out"),
    "sign_in_failed": text("sign-in failed"),
    "identity_confirmed": text("proved who they are once more"),
    "confirmation_failed": text("did not prove who they are"),
    "sessions_ended": text("ended sessions"),
    "password_changed": text("changed the password"),
    "password_reset": text("got a first password"),
    "second_factor_added": text("set up a second factor"),
    "second_factor_removed": text("removed the second factor"),
    "staff_added": text("was added to the staff"),
    "staff_locked": text("locked an account"),
    "staff_unlocked": text("unlocked an account"),
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
    "order": text("order"),
    "note_template": text("template of notes"),
    "staff": text("staff"),
    "audit": text("audit log"),
    "setting": text("settings"),
}
