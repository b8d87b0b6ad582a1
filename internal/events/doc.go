// Package events writes records in the forms that other systems read: CloudEvents 1.0 in
// structured mode, the Elastic Common Schema, and CSV. A record is one line of JSON in the first
// two. The record itself, as [audit.Record] writes it, is part of both, so that nothing is lost.
package events
