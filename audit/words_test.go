package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestWordsIgnoreCase(t *testing.T) {
	t.Parallel()
	for _, want := range audit.EnvelopeClasses() {
		for _, text := range []string{string(want), strings.ToLower(string(want)), string(want[:1]) + strings.ToLower(string(want[1:]))} {
			if got, err := audit.ParseEnvelopeClass(text); got != want || err != nil {
				t.Errorf("ParseEnvelopeClass(%q) = %q, %v; want %q", text, got, err, want)
			}
		}
	}
	for _, want := range audit.Decisions() {
		var got audit.Decision
		if err := got.UnmarshalText([]byte(strings.ToLower(string(want)))); got != want || err != nil {
			t.Errorf("UnmarshalText(%q) = %q, %v; want %q", want, got, err, want)
		}
	}
}

func TestWordsAreNotGuessed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "SAFETY ", " SAFETY", "SAFE", "SAFETYY", "ſAFETY", "UN\u212aNOWN", "SAFETY\x00"} {
		if got, err := audit.ParseEnvelopeClass(text); !errors.Is(err, audit.ErrInvalidRecord) {
			t.Errorf("ParseEnvelopeClass(%q) = %q, %v; want ErrInvalidRecord", text, got, err)
		}
	}
	for _, text := range []string{"", "EXPIRED", "REVERTED", "APPLIED ", "ALLOWED"} {
		if got, err := audit.ParseDecision(text); !errors.Is(err, audit.ErrInvalidRecord) {
			t.Errorf("ParseDecision(%q) = %q, %v; want ErrInvalidRecord", text, got, err)
		}
	}
}

func TestAuditIDHasOneForm(t *testing.T) {
	t.Parallel()
	const canonical = "9d191c61-c4ee-457d-9aa0-563922ea4db1"
	want := uuid.MustParse(canonical)
	for _, text := range []string{canonical, strings.ToUpper(canonical)} {
		if got, err := audit.ParseAuditID(text); got != want || err != nil {
			t.Errorf("ParseAuditID(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "audit-001", " " + canonical, canonical + " ",
		strings.ReplaceAll(canonical, "-", ""), "urn:uuid:" + canonical, "{" + canonical + "}",
		"9d191c61-c4ee-457d-9aa0563922ea-4db1", "9d191c61-c4ee-457d-9aa0-563922ea4dbg",
		"00000000-0000-0000-0000-000000000000",
	} {
		if got, err := audit.ParseAuditID(text); !errors.Is(err, audit.ErrInvalidRecord) {
			t.Errorf("ParseAuditID(%q) = %v, %v; want ErrInvalidRecord", text, got, err)
		}
	}
}

func TestUnsetScopeIsRefused(t *testing.T) {
	t.Parallel()
	for _, scope := range []audit.Scope{{}, audit.Tenant("")} {
		err := scope.Validate()
		if !errors.Is(err, audit.ErrNoScope) || !strings.Contains(err.Error(), "audit.Tenant(id), audit.NoTenant() or audit.AllTenants()") {
			t.Errorf("%v.Validate() = %v, want ErrNoScope saying what to pass", scope, err)
		}
	}
	for _, scope := range []audit.Scope{audit.Tenant("acme"), audit.NoTenant(), audit.AllTenants()} {
		if err := scope.Validate(); err != nil {
			t.Errorf("%v.Validate() = %v, want nil", scope, err)
		}
	}
}
