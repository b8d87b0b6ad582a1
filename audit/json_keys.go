package audit

import "strconv"

// knownKey returns a key of ours and its bit, or no bit if the key is unknown.
func knownKey(name []byte) (key string, bit uint32) {
	switch string(name) {
	case fieldAuditID:
		return fieldAuditID, 1 << 0
	case fieldEnvelopeID:
		return fieldEnvelopeID, 1 << 1
	case fieldEnvelopeClass:
		return fieldEnvelopeClass, 1 << 2
	case fieldDecision:
		return fieldDecision, 1 << 3
	case fieldReason:
		return fieldReason, 1 << 4
	case fieldDecisionTimestamp:
		return fieldDecisionTimestamp, 1 << 5
	case fieldConflictingEnvelopeID:
		return fieldConflictingEnvelopeID, 1 << 6
	case fieldPreemptingEnvelopeID:
		return fieldPreemptingEnvelopeID, 1 << 7
	case fieldActiveEnvelopesCount:
		return fieldActiveEnvelopesCount, 1 << 8
	case fieldTenantID:
		return fieldTenantID, 1 << 9
	case fieldTargetSubsystem:
		return fieldTargetSubsystem, 1 << 10
	case fieldTargetParameter:
		return fieldTargetParameter, 1 << 11
	case fieldCounterpartClass:
		return fieldCounterpartClass, 1 << 12
	case fieldEmitTraces:
		return fieldEmitTraces, 1 << 13
	default:
		return contextKey(name)
	}
}

// contextKey does the same for the keys of format 2.
func contextKey(name []byte) (key string, bit uint32) {
	switch string(name) {
	case fieldReasonCode:
		return fieldReasonCode, 1 << 14
	case fieldPolicyVersion:
		return fieldPolicyVersion, 1 << 15
	case fieldActor:
		return fieldActor, 1 << 16
	case fieldCausedBy:
		return fieldCausedBy, 1 << 17
	case fieldCorrects:
		return fieldCorrects, 1 << 18
	case fieldCorrelationID:
		return fieldCorrelationID, 1 << 19
	case fieldTraceID:
		return fieldTraceID, 1 << 20
	case fieldSpanID:
		return fieldSpanID, 1 << 21
	case fieldDetails:
		return fieldDetails, 1 << 22
	case fieldSourceID:
		return fieldSourceID, 1 << 23
	case fieldSourceSeq:
		return fieldSourceSeq, 1 << 24
	case fieldFormat:
		return fieldFormat, 1 << 25
	default:
		return "", 0
	}
}

// nameOf quotes and cuts an unknown key, which may hold anything.
func nameOf(key string) string { return quoteClipped(key, 64) }

func quoteClipped(text string, maxRunes int) string {
	if runes := []rune(text); len(runes) > maxRunes {
		text = string(runes[:maxRunes]) + "…"
	}
	return strconv.Quote(text)
}
