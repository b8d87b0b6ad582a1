package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"acme":                    "acme",
		"für é 漢字 👍":              "für é 漢字 👍",
		`C:\temp "x" it's`:        `C:\temp "x" it's`,
		"a\nb\r\tc":               `a\nb\r\tc`,
		"\x1b[31mred":             `\x1b[31mred`,
		"c1 \u009b31m":            `c1 \u009b31m`,
		"bidi \u202eabc\u2066":    `bidi \u202eabc\u2066`,
		"line\u2028sep\u0085next": `line\u2028sep\u0085next`,
		"bad \xff\xc3":            `bad \xff\xc3`,
		"\ufffd":                  "\ufffd",
		"\x00":                    `\x00`,
		"vs \ufe00\U000e0100":     `vs \ufe00\U000e0100`,
		"fill \u3164\u115f\u034f": `fill \u3164\u115f\u034f`,
	} {
		if got := audit.Printable(text); got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestErrorsArePrintable(t *testing.T) {
	t.Parallel()
	evil := "x\n2026 level=ERROR msg=forged \x1b[2J\u009b\u202e"
	_, _, unknownKey := audit.ParseRecord([]byte(`{"` + strings.ReplaceAll(strings.ReplaceAll(evil, "\n", `\n`), "\x1b", `\u001b`) + `":1}`))
	var broken audit.Record
	for name, err := range map[string]error{
		"a scope":         errors.New(audit.Tenant(evil).String()),
		"an unknown key":  unknownKey,
		"broken JSON":     broken.UnmarshalJSON([]byte("{\u202e")),
		"an unknown word": (audit.Record{EnvelopeID: evil, EnvelopeClass: audit.EnvelopeClass(evil), Decision: audit.Decision(evil)}).Validate(),
	} {
		if err == nil || audit.Printable(err.Error()) != err.Error() {
			t.Errorf("%s: %q", name, err)
		}
	}
}

// The text is part of what a cursor is bound to.
func TestScopeNamesAreUnique(t *testing.T) {
	t.Parallel()
	names := map[string]audit.Scope{}
	for _, scope := range []audit.Scope{
		audit.Tenant("acme"), audit.Tenant("a\nb"), audit.Tenant(`a\nb`), audit.Tenant(`"a\nb"`), audit.Tenant(`"acme"`),
		audit.NoTenant(), audit.AllTenants(),
	} {
		if other, taken := names[scope.String()]; taken {
			t.Errorf("%#v and %#v are both called %s", scope, other, scope)
		}
		names[scope.String()] = scope
	}
	if got := audit.Tenant("acme").String(); got != "tenant acme" {
		t.Errorf("a plain tenant is called %s", got)
	}
}
