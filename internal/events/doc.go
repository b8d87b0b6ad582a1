// Package events writes records in the forms that other systems read: CloudEvents 1.0 in
// structured mode, and the Elastic Common Schema. A record is one line of JSON in each. The
// record itself, as [audit.Record] writes it, is part of both, so that nothing is lost.
package events
