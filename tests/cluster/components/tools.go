//go:build tools

// Package components pins the program that is built as it is, beside those under cmd/.
package components

import _ "helm.sh/helm/v3/cmd/helm"
