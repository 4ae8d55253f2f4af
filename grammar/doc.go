// Package grammar says what a model may write next.
package grammar
