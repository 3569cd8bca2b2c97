"""The CQL that every library of ours begins with, and the queries of which it uses those that it needs.

What `cql.py` writes for a criterion calls these functions. They are CQL 1.5 on FHIR 4.0.1.
"""

from __future__ import annotations

from collections.abc import Mapping

HEAD = """\
using FHIR version '4.0.1'
include FHIRHelpers version '4.0.1'

parameter "Today" System.Date

context Patient

// A FHIR dateTime as a calendar day; one that is known to the month only leaves comparisons open.
define function "Day"(at FHIR.dateTime): date from at.value

define function "Day of"(result FHIR.Observation):
  Coalesce("Day"(result.effective as FHIR.dateTime), "Day"((result.effective as FHIR.Period)."end"))

// Null where the date of birth is not known well enough. Counted back from today, so that somebody born on 29 February
// is a year older on 1 March.
define function "Is aged"(length System.Quantity):
  Patient.birthDate.value on or before ("Today" - length)

// The addresses under which a code system arrives, as one name.
define function "System"(address System.String):
  case
{SYSTEMS}
    else address
  end

define function "Codes"(code FHIR.CodeableConcept):
  (code.coding) C return all "System"(C.system.value) + '|' + C.code.value

// Read once; what is asked about a concept is looked for in these.
define "Results":
  [Observation] R
    where R.status.value in { 'final', 'amended', 'corrected', 'appended' }
      and R.value is not null and "Day of"(R) on or before "Today"
    return all Tuple { entry: R, codes: "Codes"(R.code) }

// Not final yet: it decides nothing, but the chart is not silent.
define "Pending":
  [Observation] R
    where not (R.status.value in { 'final', 'amended', 'corrected', 'appended', 'entered-in-error', 'cancelled' })
      and R.value is not null and "Day of"(R) on or before "Today"
    return all Tuple { codes: "Codes"(R.code) }

define "Entries":
  [Condition] D where "Is counted"(D) return all Tuple { entry: D, codes: "Codes"(D.code) }

define function "Newest"(found List<FHIR.Observation>):
  (found) R where "Day of"(R) = Max((found) F return "Day of"(F))

// The unit texts that are understood, each with what it means in UCUM. An engine reads any text as UCUM: it takes 109/L
// for 109 per litre, and a text that is no UCUM ends the run.
define "Plain units": {PLAIN_UNITS}

define "Unit texts": {UNIT_TEXTS}

define "Units of texts": {UNITS_OF_TEXTS}

define function "Unit"(text System.String):
  case
    when text in "Plain units" then text
    when text in "Unit texts" then "Units of texts"[IndexOf("Unit texts", text)]
    else null
  end

define function "Quantity"(value FHIR.Quantity):
  First(({ 1 }) N let unit: "Unit"(Coalesce(value.code.value, value.unit.value, '1'))
    return all if value.value.value is null or unit is null then null
      else System.Quantity { value: value.value.value, unit: unit })

define function "Amount"(result FHIR.Observation): "Quantity"(result.value as FHIR.Quantity)

define function "Sign"(result FHIR.Observation): Coalesce((result.value as FHIR.Quantity).comparator.value, '')

define function "High"(result FHIR.Observation): "Quantity"(First((result.referenceRange) R return R.high))

define function "Low"(result FHIR.Observation): "Quantity"(First((result.referenceRange) R return R.low))

// In one unit by their numbers alone: an arbitrary unit like [IU] is not converted, not even into itself.
define function "Reaches"(amount System.Quantity, edge System.Quantity):
  if amount.unit = edge.unit then amount.value >= edge.value else amount >= edge

define function "Passes"(amount System.Quantity, edge System.Quantity):
  if amount.unit = edge.unit then amount.value > edge.value else amount > edge

// A result that is known from one side only (< 5) settles a limit that lies on its other side, and no other.
define function "At least"(result FHIR.Observation, edge System.Quantity):
  case "Sign"(result)
    when '' then "Reaches"("Amount"(result), edge)
    when '>' then if "Reaches"("Amount"(result), edge) then true else null
    when '>=' then if "Reaches"("Amount"(result), edge) then true else null
    when '<' then if not "Passes"("Amount"(result), edge) then false else null
    when '<=' then if not "Reaches"("Amount"(result), edge) then false else null
    else null
  end

define function "Above"(result FHIR.Observation, edge System.Quantity):
  case "Sign"(result)
    when '' then "Passes"("Amount"(result), edge)
    when '>' then if "Reaches"("Amount"(result), edge) then true else null
    when '>=' then if "Passes"("Amount"(result), edge) then true else null
    when '<' then if not "Passes"("Amount"(result), edge) then false else null
    when '<=' then if not "Passes"("Amount"(result), edge) then false else null
    else null
  end

define function "At most"(result FHIR.Observation, edge System.Quantity): not "Above"(result, edge)

define function "Below"(result FHIR.Observation, edge System.Quantity): not "At least"(result, edge)

define function "Positive"(result FHIR.Observation):
  case
    when exists (((result.value as FHIR.CodeableConcept).coding) C where C.code.value in {POSITIVE}) then true
    when exists (((result.value as FHIR.CodeableConcept).coding) C where C.code.value in {NEGATIVE}) then false
    else null
  end

define function "Unclear"(result FHIR.Observation):
  exists (((result.value as FHIR.CodeableConcept).coding) C where C.code.value in {UNCLEAR})

// A viral load: any number is one found; "less than" is below what the test can count, or can see.
define function "Detected"(result FHIR.Observation):
  case
    when "Sign"(result) in { '', '>=' } and "Amount"(result).value > 0 then true
    when "Sign"(result) = '>' and "Amount"(result).value >= 0 then true
    when "Sign"(result) in { '', '<=' } and "Amount"(result).value = 0 then false
    else null
  end

// Results of one day speak together: if they disagree, or one cannot be used, the answer is open.
define function "Agreed"(found System.Integer, passing System.Integer, failing System.Integer):
  case
    when found > 0 and passing = found then true
    when found > 0 and failing = found then false
    else null
  end

define function "Any"(found System.Integer, passing System.Integer, failing System.Integer):
  case
    when passing > 0 then true
    when found > 0 and failing = found then false
    else null
  end

define function "Is counted"(entry FHIR.Condition):
  not exists ((entry.verificationStatus.coding) C where C.code.value in { 'refuted', 'entered-in-error' })
    and not exists ((entry.clinicalStatus.coding) C where C.code.value = 'entered-in-error')
    and not Coalesce("Day"(entry.recordedDate) after "Today", false)
    and not Coalesce("Onset"(entry) after "Today", false)

define function "Is confirmed"(entry FHIR.Condition):
  not exists (
    (entry.verificationStatus.coding) C
      where C.code.value in { 'provisional', 'differential', 'unconfirmed', 'unknown' }
  )

define function "Recorded onset"(entry FHIR.Condition):
  Coalesce("Day"(entry.onset as FHIR.dateTime), "Day"((entry.onset as FHIR.Period)."start"))

define function "Recorded end"(entry FHIR.Condition):
  Coalesce("Day"(entry.abatement as FHIR.dateTime), "Day"((entry.abatement as FHIR.Period)."end"))

// Of dates that contradict each other, or the status, none is believed.
define function "Is backwards"(entry FHIR.Condition):
  Coalesce("Recorded end"(entry) before "Recorded onset"(entry), false)
    or Coalesce("Recorded onset"(entry) after "Today" and "Day"(entry.recordedDate) on or before "Today", false)

define function "Contradicts itself"(entry FHIR.Condition):
  "Is backwards"(entry) or ("Recorded end"(entry) before "Today" and exists (
    (entry.clinicalStatus.coding) C where C.code.value in { 'active', 'recurrence', 'relapse' }))

define function "Onset"(entry FHIR.Condition):
  if "Is backwards"(entry) then null else "Recorded onset"(entry)

define function "Ended"(entry FHIR.Condition):
  if Coalesce("Contradicts itself"(entry), false) then null else "Recorded end"(entry)

define function "Is quiet"(entry FHIR.Condition):
  exists ((entry.clinicalStatus.coding) C where C.code.value in { 'inactive', 'remission' })

// What comes and goes is over when it is inactive, and may be over when it began longer ago and has no status.
define function "Goes on"(entry FHIR.Condition, limit System.Quantity):
  case
    when "Contradicts itself"(entry) then null
    when "Ended"(entry) is not null then "Ended"(entry) on or after "Today"
    when exists ((entry.clinicalStatus.coding) C where C.code.value = 'resolved') then false
    when limit is null then true
    when "Is quiet"(entry) then false
    when exists (entry.clinicalStatus.coding) then true
    when Coalesce("Onset"(entry), "Day"(entry.recordedDate)) + limit on or after "Today" then true
    else null
  end

define function "Lasts"(entry FHIR.Condition, length System.Quantity):
  case
    when "Onset"(entry) is not null then "Onset"(entry) + length on or before "Today"
    when "Day"(entry.recordedDate) + length on or before "Today" then true
    else null
  end

define function "Present since"(entry FHIR.Condition, edge System.Date, limit System.Quantity):
  case
    when "Ended"(entry) is not null then "Ended"(entry) on or after edge
    when "Goes on"(entry, limit) then true
    when "Onset"(entry) on or after edge then true
    else null
  end

define function "Began since"(entry FHIR.Condition, edge System.Date):
  case
    when "Onset"(entry) is not null then "Onset"(entry) on or after edge
    when "Day"(entry.recordedDate) before edge then false
    else null
  end

// The days that these spans reach over, each counted once; a span reaches from its first day to its last.
define function "Days"(spans List<Tuple { first System.Date, last System.Date }>):
  Coalesce(Sum(
    (collapse ((spans) S where S.first before S.last return all Interval[S.first, S.last))) I
      return all (difference in days between start of I and end of I) + 1
  ), 0)

// Whether courses come to that length together: surely, perhaps, or not however long they were.
define function "Given for"(
  courses List<Tuple {
    codes List<System.String>, first System.Date, last System.Date, goesOn System.Boolean, sure System.Boolean,
    aWeek System.Decimal
  }>,
  length System.Quantity
):
  First(({ 1 }) N
    let dated: (courses) T where T.first is not null,
      first: Min((dated) T return all T.first),
      needed: difference in days between first and (first + length),
      surely: "Days"((dated) T return all Tuple { first: T.first,
        last: Min({ Coalesce(T.last, if T.goesOn then "Today" else T.first), "Today" }) }),
      perhaps: "Days"((dated) T return all Tuple { first: T.first, last: Min({ Coalesce(T.last, "Today"), "Today" }) })
    return all case
      when not exists dated then null
      when surely >= needed then true
      when perhaps >= needed or exists ((courses) T where T.first is null) then null
      else false
    end)

define function "Mark"(said System.Boolean): case when said then 2 when said is null then 1 else 0 end

define function "Enough of"(marks List<System.Integer>, needed System.Integer, otherwise System.Boolean):
  case
    when Count((marks) M where M = 2 return all M) >= needed then true
    when exists ((marks) M where M = 1) and Count((marks) M where M > 0 return all M) >= needed then null
    else otherwise
  end

// Nothing that fits: what might fit leaves it open; else silence is what the definition says that it means.
define function "Recorded"(fitting System.Integer, doubtful System.Integer, otherwise System.Boolean):
  case when fitting > 0 then true when doubtful > 0 then null else otherwise end

// A current result that states it (2) or denies it (0) answers as well; results that disagree leave it open.
define function "Recorded or stated"(
  fitting System.Integer, doubtful System.Integer, otherwise System.Boolean, said List<System.Integer>
):
  case
    when fitting > 0 then true
    when not exists said then "Recorded"(fitting, doubtful, otherwise)
    when Min(said) = 2 then true
    when Max(said) > 0 or doubtful > 0 then null
    else false
  end

define function "At least so many"(
  needed System.Integer, passing System.Integer, failing System.Integer, parts System.Integer
):
  case when passing >= needed then true when parts - failing < needed then false else null end
"""

# Mg a week: of one instruction with an amount, a frequency and a period, and nothing else that says how much it is.
DOSE_FUNCTIONS = """\
define "Orders replace others":
  exists ([MedicationRequest] M where M.priorPrescription is not null or exists (M.basedOn))

define function "Amount a week"(dosages List<FHIR.Dosage>):
  if Count(dosages) != 1 or "Orders replace others" then null else First((dosages) D
    let R: D.timing.repeat, Q: First((D.doseAndRate) A return all A.dose as FHIR.SimpleQuantity),
      period: R.period.value * (case R.periodUnit.value when 'd' then 1.0 when 'wk' then 7.0 else null end)
    return all case
      when Count(D.doseAndRate) != 1 or exists (D.modifierExtension) or D.asNeeded is not null or D.route is not null
        or D.maxDosePerPeriod is not null or D.timing.code is not null or exists (D.timing.event)
        or R.bounds is not null or R.count is not null or R.countMax is not null or R.frequencyMax is not null
        or R.periodMax is not null
        or exists (R.dayOfWeek) or exists (R.timeOfDay) or exists (R."when") then null
      when Q.comparator is null and Q.code.value = 'mg' then Q.value.value * R.frequency.value * 7.0 / period
      else null
    end)
"""

# Each: what counts, and when it was. `first` and `last` are days, null where the record does not say.
_NOT_TAKEN = "{ 'entered-in-error', 'cancelled', 'draft', 'not-done', 'intended', 'not-taken' }"
COURSES: Mapping[str, str] = {
    "MedicationStatement": f"""\
[MedicationStatement] M
      let begun: Coalesce("Day"(M.effective as FHIR.dateTime), "Day"((M.effective as FHIR.Period)."start")),
        ended: "Day"((M.effective as FHIR.Period)."end"),
        backwards: Coalesce(begun after ended, false)
          or Coalesce(begun after "Today" and "Day"(M.dateAsserted) on or before "Today", false),
        disagrees: backwards or Coalesce(M.status.value = 'active' and ended before "Today", false),
        first: if backwards then null else begun,
        last: if disagrees then null else ended
      where not (M.status.value in {_NOT_TAKEN})
        and not Coalesce(first after "Today", false)
      return all Tuple {{ codes: "Codes"(M.medication as FHIR.CodeableConcept), first: first, last: last, goesOn: case
        when disagrees then null
        when last before "Today" then false
        when last after "Today" then true
        when M.status.value in {{ 'completed', 'stopped', 'on-hold' }} then false
        when M.status.value = 'active' then true
        else null end, sure: true,
        aWeek: "Amount a week"(M.dosage) }}""",
    "MedicationRequest": f"""\
[MedicationRequest] M
      where not (M.status.value in {_NOT_TAKEN})
        and not Coalesce(M.doNotPerform.value, false)
        and (M.authoredOn is null or "Day"(M.authoredOn) on or before "Today")
      return all Tuple {{ codes: "Codes"(M.medication as FHIR.CodeableConcept),
        first: "Day"(M.authoredOn), last: (null as System.Date), goesOn: case
        when M.status.value in {{ 'completed', 'stopped', 'on-hold', 'ended' }} then false
        when M.status.value = 'active' then true
        else null end,
        sure: not Coalesce(M.intent.value in {{ 'proposal', 'plan', 'option' }}, false)
          or Coalesce((M.reported as FHIR.boolean).value, M.reported is FHIR.Reference, false),
        aWeek: "Amount a week"(M.dosageInstruction) }}""",
    "MedicationAdministration": f"""\
[MedicationAdministration] M
      let first: Coalesce("Day"(M.effective as FHIR.dateTime), "Day"((M.effective as FHIR.Period)."start"))
      where not (M.status.value in {_NOT_TAKEN})
        and not Coalesce(first after "Today", false)
      return all Tuple {{ codes: "Codes"(M.medication as FHIR.CodeableConcept),
        first: first, last: Coalesce("Day"((M.effective as FHIR.Period)."end"), first),
        goesOn: M.status.value = 'in-progress', sure: true,
        aWeek: (null as System.Decimal) }}""",
    # A supply lasts as long as it says, or 90 days; it may still be taken while a refill may come.
    "MedicationDispense": f"""\
[MedicationDispense] M
      let first: Coalesce("Day"(M.whenHandedOver), "Day"(M.whenPrepared)),
        length: (M.daysSupply).value.value,
        last: if length is null then null else first + System.Quantity {{ value: length, unit: 'days' }}
      where not (M.status.value in {_NOT_TAKEN})
        and not Coalesce(M.status.value in {{ 'declined', 'preparation' }}, false)
        and not Coalesce(first after "Today", false)
      return all Tuple {{ codes: "Codes"(M.medication as FHIR.CodeableConcept), first: first, last: last, goesOn: case
        when last on or after "Today" then true
        when Coalesce(last, first + 90 days) + 30 days before "Today" then false
        else null end, sure: Coalesce(M.status.value in {{ 'completed', 'stopped' }}, false),
        aWeek: (null as System.Decimal) }}""",
    "Procedure": """\
[Procedure] M
      let first: Coalesce("Day"(M.performed as FHIR.dateTime), "Day"((M.performed as FHIR.Period)."start")),
        last: Coalesce("Day"(M.performed as FHIR.dateTime), "Day"((M.performed as FHIR.Period)."end"))
      where not Coalesce(M.status.value in { 'entered-in-error', 'not-done', 'preparation' }, false)
        and not Coalesce(first after "Today", false)
      return all Tuple { codes: "Codes"(M.code), first: first, last: last,
        goesOn: Coalesce(M.status.value = 'in-progress', false) or Coalesce(last after "Today", false),
        sure: Coalesce(M.status.value in { 'completed', 'in-progress', 'stopped', 'on-hold' }, false),
        aWeek: (null as System.Decimal) }""",
    "Condition": """\
"Entries" T
      return all Tuple { codes: T.codes, first: "Onset"(T.entry), last: "Ended"(T.entry),
        goesOn: "Goes on"(T.entry, null as System.Quantity), sure: "Is confirmed"(T.entry),
        aWeek: (null as System.Decimal) }""",
    "ResearchSubject": """\
[ResearchSubject] M
      let begun: "Day"(M.period."start"), ended: "Day"(M.period."end"),
        backwards: Coalesce(begun after ended, false),
        takesPart: M.status.value in { 'on-study', 'on-study-intervention', 'on-study-observation', 'follow-up' },
        disagrees: backwards or Coalesce(takesPart and ended before "Today", false),
        first: if backwards then null else begun,
        last: if disagrees then null else ended
      where (takesPart or M.status.value in { 'off-study', 'withdrawn' })
        and not Coalesce(first after "Today", false)
      return all Tuple { codes: { 'trial-participation' }, first: first, last: last, goesOn: case
        when disagrees then null
        when last before "Today" then false
        when last after "Today" then true
        else takesPart end, sure: true,
        aWeek: (null as System.Decimal) }""",
    "Immunization": """\
[Immunization] M
      let first: "Day"(M.occurrence as FHIR.dateTime)
      where M.status.value = 'completed' and not Coalesce(first after "Today", false)
      return all Tuple { codes: "Codes"(M.vaccineCode), first: first, last: first, goesOn: false, sure: true,
        aWeek: (null as System.Decimal) }""",
}

ON_OXYGEN = """\
define "Oxygen": flatten {
  (("All Procedure") T where {GIVEN} return all Tuple { first: T.first, last: T.last, goesOn: T.goesOn }),
  (("Entries") T where {GIVEN}
    return all Tuple { first: "Onset"(T.entry), last: "Ended"(T.entry),
      goesOn: "Goes on"(T.entry, null as System.Quantity) })
}

define function "Part"(result FHIR.Observation, code System.String):
  First((result.component) P where code in "Codes"(P.code) return (P.value as FHIR.Quantity).value.value)

// What the saturation says itself, a flow (L/min) or a share (%), comes first; a remark in words is not read.
define function "On oxygen"(result FHIR.Observation):
  case
    when "Part"(result, 'loinc|3151-8') > 0 or "Part"(result, 'loinc|3150-0') > 21 then true
    when "Part"(result, 'loinc|3151-8') is not null or "Part"(result, 'loinc|3150-0') is not null then false
    else exists (("Oxygen") T where T.first on or before "Day of"(result)
      and (if T.last after T.first then T.last on or after "Day of"(result)
        else T.goesOn or T.first on or after "Day of"(result)))
  end"""
