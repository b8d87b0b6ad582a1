package auditmigrate

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLocateTrail(t *testing.T) {
	t.Parallel()
	whole := func(schema string, onPath int32) place {
		return place{schema: schema, onPath: onPath, records: true, side: true, versions: true}
	}
	left := func(schema string, onPath int32) place {
		return place{schema: schema, onPath: onPath, versions: true}
	}
	tests := map[string]struct {
		places     []place
		configured string
		want       string
		records    bool
		refused    bool
	}{
		"Empty":                  {places: []place{{schema: "public", onPath: 1}}, want: "public"},
		"NoSchema":               {want: "", refused: true},
		"First":                  {places: []place{whole("public", 2), {schema: "owner", onPath: 1}}, want: "public", records: true},
		"LeftOverBefore":         {places: []place{left("trail", 1), whole("public", 2)}, want: "public", records: true},
		"LeftOver":               {places: []place{{schema: "owner", onPath: 1}, left("public", 2)}, want: "public"},
		"LeftOverAndAnother":     {places: []place{left("public", 1), whole("trail", 0)}, want: "public", refused: true},
		"Elsewhere":              {places: []place{{schema: "public", onPath: 1}, whole("trail", 0)}, want: "public", refused: true},
		"ElsewhereOnPurpose":     {places: []place{{schema: "public", onPath: 1}, whole("trail", 0)}, configured: "public", want: "public"},
		"AnotherElsewhere":       {places: []place{whole("public", 1), whole("trail", 0)}, want: "public", records: true},
		"Two":                    {places: []place{whole("public", 2), whole("owner", 1)}, want: "owner", records: true, refused: true},
		"TwoAndOneConfigured":    {places: []place{whole("public", 2), whole("owner", 1)}, configured: "public", want: "public", records: true},
		"ConfiguredDoesNotExist": {places: []place{whole("public", 1)}, configured: "trail", want: "", refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := decide(test.places, test.configured)
			err := at.checkChange(test.configured)
			if at.schema != test.want || at.records != test.records || (err != nil) != test.refused || (err != nil && !errors.Is(err, ErrSchema)) {
				t.Errorf("schema %q, records %v, error %v; want %q, %v, refused %v", at.schema, at.records, err, test.want, test.records, test.refused)
			}
		})
	}
}

// A migration that drops what records hold has a check that runs before anything is
// reverted.
func TestDownAsksInOwnBlock(t *testing.T) {
	t.Parallel()
	list, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	asks := map[int64]int{}
	for _, source := range list {
		script, err := source.read()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(script.asks); n > 0 {
			asks[source.version] = n
		}
	}
	if diff := cmp.Diff(map[int64]int{1: 1, 3: 1, 5: 1, 6: 1, 8: 1, 10: 1}, asks); diff != "" {
		t.Errorf("blocks that ask, by version (-want +got):\n%s", diff)
	}
}
