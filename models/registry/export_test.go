package registry

var ParseIndex = parseIndex
