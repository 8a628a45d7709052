//go:build tools

// Package tools pins the commands that are built straight from their module.
package tools

import _ "k8s.io/kubernetes/cmd/kubectl"
