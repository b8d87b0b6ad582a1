// Package deploytest tests a deploy as a whole: several processes of cmd/migrate at
// once, on a database of each older version, while services write to it.
package deploytest
