package auditadmin

import (
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
)

// locate finds the one schema that the trail is in.
func (i *inspection) locate(places []catalog.Place) *catalog.Place {
	var trail *catalog.Place
	for n, place := range places {
		if place.OnPath && (trail == nil || (slices.Contains(place.Tables, catalog.Records) && !slices.Contains(trail.Tables, catalog.Records))) {
			trail = &places[n]
		}
	}
	if trail == nil {
		i.nowhere(places)
		return nil
	}
	i.stands = slices.Contains(trail.Tables, catalog.Records)
	for _, place := range places {
		if place.OnPath && place.Schema != trail.Schema {
			for _, table := range place.Tables {
				i.add(Difference{
					Object: "table " + place.Quoted + "." + table, Severity: Error,
					Want: "no second table of this name next to the trail in schema " + trail.Quoted,
					Got:  "it is there, and the search_path leads to both schemas",
					Repair: "decide which one is the trail, name it by --schema, and take the other schema off the search_path of every service (in the database URL, or by ALTER ROLE … SET search_path): " +
						"no row is moved or dropped for you",
				})
			}
		}
	}
	return trail
}

// nowhere reports that there is no trail, and which one the session cannot see.
func (i *inspection) nowhere(places []catalog.Place) {
	d := Difference{Object: "table " + catalog.Records, Severity: Error, Want: "a table that the search_path leads to", Got: "missing", Repair: "migrate up"}
	var elsewhere []string
	for _, place := range places {
		if slices.Contains(place.Tables, catalog.Records) {
			elsewhere = append(elsewhere, place.Quoted)
		}
	}
	if len(elsewhere) > 0 {
		d.Got = "only in schema " + strings.Join(elsewhere, ", ") + ", which the search_path does not lead to or this role may not use"
		d.Repair = "name that schema by --schema or by search_path in the database URL, and grant this role USAGE on it"
	}
	i.add(d)
}

func (i *inspection) missingRecords(trail catalog.Place) {
	d := Difference{Object: "table " + trail.Quoted + "." + catalog.Records, Severity: Error, Want: "a table", Got: "missing", Repair: "migrate up"}
	if i.versions != unversioned {
		d.Repair = "cannot be repaired: its content is gone, although the version table records its creation: restore it from a backup"
	}
	i.add(d)
}
