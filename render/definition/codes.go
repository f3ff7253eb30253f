package definition

import "strings"

// The codes of violations. A code is stable: it is never given to another
// problem, and never taken away from one. The thousands say what it is about:
// 0 what the operator does not allow (package policies), 1 files and YAML, 2
// the shape of a document, 3 names, 4 the content of a service, 5 secrets, 6
// routes, 7 how a service is run, 8 calls between services and to the cluster's API, 9 plain Kubernetes
// objects.
const (
	// CodeEncoding: a file that is not UTF-8 text.
	CodeEncoding = "PL1001"
	// CodeSyntax: text that is not YAML or JSON.
	CodeSyntax = "PL1002"
	// CodeTooLarge: a file or a document over the limit, or one that expands
	// over it through aliases, or makes an object that no API server takes.
	CodeTooLarge = "PL1003"
	// CodeTooDeep: nesting over the limit, or an alias inside its own anchor.
	CodeTooDeep = "PL1004"
	// CodeDuplicateKey: one key twice in a mapping.
	CodeDuplicateKey = "PL1005"
	// CodeNumber: a number that JSON cannot hold: NaN, infinite, over 64 bits.
	CodeNumber = "PL1006"
	// CodeAmbiguous: a value that YAML readers disagree about, as an unquoted yes,
	// or a number that begins with 0.
	CodeAmbiguous = "PL1007"
	// CodeTag: a YAML tag that means nothing here, as !!binary.
	CodeTag = "PL1008"
	// CodeEncrypted: a document encrypted with SOPS for which there is no key.
	CodeEncrypted = "PL1009"
	// CodeOverlay: an overlay that is not enabled, or that does not build.
	CodeOverlay = "PL1010"
	// CodeSeal: a document encrypted with SOPS that was changed or damaged since.
	CodeSeal = "PL1011"
	// CodeTooMany: more problems than are listed.
	CodeTooMany = "PL1012"

	// CodeKind: an unknown kind, or version, of Plumbline document.
	CodeKind = "PL2001"
	// CodeMissing: a required field is missing or empty.
	CodeMissing = "PL2002"
	// CodeType: a value of the wrong YAML type.
	CodeType = "PL2003"
	// CodeUnknownField: a field that does not exist.
	CodeUnknownField = "PL2004"
	// CodeEnum: a value that is not one of those allowed.
	CodeEnum = "PL2005"
	// CodeRange: a number outside its range.
	CodeRange = "PL2006"
	// CodeNotYet: a part of the language that this version does not have.
	CodeNotYet = "PL2007"
	// CodeMismatch: metadata.name or a placeholder says other than spec.
	CodeMismatch = "PL2008"
	// CodeStateful: storage was asked for.
	CodeStateful = "PL2009"
	// CodeControl: a control annotation that is unknown or has a bad value.
	CodeControl = "PL2010"

	// CodeName: a name that Kubernetes refuses.
	CodeName = "PL3001"
	// CodeNameLength: a name that is too long, alone or joined.
	CodeNameLength = "PL3002"
	// CodeSystemNamespace: a project named like a namespace of the system.
	CodeSystemNamespace = "PL3003"
	// CodeDuplicate: two documents that define the same thing.
	CodeDuplicate = "PL3004"
	// CodeNameClash: two names that are equal after joining id and version.
	CodeNameClash = "PL3005"
	// CodeNamePrefix: a guarded name that is the beginning of another.
	CodeNamePrefix = "PL3006"
	// CodeDuplicateObject: two documents that give the same Kubernetes object.
	CodeDuplicateObject = "PL3007"
	// CodeProjectUndefined: a project that services name and no document
	// defines (warning).
	CodeProjectUndefined = "PL3008"

	// CodeDuplicateTask: two tasks of one id.
	CodeDuplicateTask = "PL4001"
	// CodeDuplicatePort: two ports of one number or name.
	CodeDuplicatePort = "PL4002"
	// CodeReservedPort: a port that the mesh or Knative uses itself.
	CodeReservedPort = "PL4003"
	// CodeReservedEnv: an environment variable that Knative sets.
	CodeReservedEnv = "PL4004"
	// CodeReservedLabel: a label that controllers use.
	CodeReservedLabel = "PL4005"
	// CodeMinMax: fewer replicas at most than at least.
	CodeMinMax = "PL4006"
	// CodeTrigger: a scaling trigger without what it needs.
	CodeTrigger = "PL4007"
	// CodeEnvName: a name that no environment variable can have.
	CodeEnvName = "PL4008"
	// CodeEnvTwice: an environment variable set in two ways.
	CodeEnvTwice = "PL4009"
	// CodeImage: an image reference that no registry accepts.
	CodeImage = "PL4010"
	// CodeIgnored: a value that has no effect (warning).
	CodeIgnored = "PL4011"
	// CodeLabelValue: a label's value that Kubernetes refuses.
	CodeLabelValue = "PL4012"
	// CodePortDiffers: versions of one service that call one port by two
	// protocols.
	CodePortDiffers = "PL4013"
	// CodeProbe: a probe that could not be asked.
	CodeProbe = "PL4014"
	// CodeAffinity: an affinity that says nothing, or too much.
	CodeAffinity = "PL4015"
	// CodeKnative: what Knative's own validation refuses.
	CodeKnative = "PL4016"

	// CodeUnknownSecret: a secret that nobody defines.
	CodeUnknownSecret = "PL5001"
	// CodeSecretKind: a secret used in a way that its type does not allow.
	CodeSecretKind = "PL5002"
	// CodeSecretKey: a key that a Secret, or an environment variable, cannot have.
	CodeSecretKey = "PL5003"
	// CodeSecretSize: a secret over 1 MiB.
	CodeSecretSize = "PL5004"
	// CodeSecretShape: keys that do not fit the secret's type.
	CodeSecretShape = "PL5005"
	// CodeMountPath: a path where no secret can be mounted.
	CodeMountPath = "PL5006"
	// CodeMountClash: two secrets with one file name at one path.
	CodeMountClash = "PL5007"
	// CodeSecretBase64: data of a plain Secret that is not base64.
	CodeSecretBase64 = "PL5008"
	// CodeSecretPlain: a secret whose values are not encrypted in Git (warning,
	// unless the operator requires it).
	CodeSecretPlain = "PL5009"
	// CodeEncryptedElsewhere: an encrypted value in what is no secret.
	CodeEncryptedElsewhere = "PL5010"
	// CodePlaceholder: a secret's value that an import left to be filled in.
	CodePlaceholder = "PL5011"

	// CodeRouteService: routes of a service that nobody defines.
	CodeRouteService = "PL6001"
	// CodeRouteVersion: a route to a version that nobody defines.
	CodeRouteVersion = "PL6002"
	// CodeWeights: weights that are all 0, or negative.
	CodeWeights = "PL6003"
	// CodeNoRoutes: several versions and no routes, or none for one of the ports.
	CodeNoRoutes = "PL6004"
	// CodeRoutePort: a route on a port where the service does not answer.
	CodeRoutePort = "PL6005"
	// CodeRouteTargets: a route without targets, or with one twice.
	CodeRouteTargets = "PL6006"
	// CodeMatcher: a matcher that no call can match, or none can be made of.
	CodeMatcher = "PL6007"
	// CodeUnreachableRoute: a route behind one that takes all its calls.
	CodeUnreachableRoute = "PL6008"
	// CodeUnmatchedCalls: calls on a route's port that no route takes (warning).
	CodeUnmatchedCalls = "PL6009"
	// CodeRouteTimeout: a route that waits longer than what runs the service does.
	CodeRouteTimeout = "PL6010"

	// CodeAnswersOn80: a service that answers on port 80 instead of the declared
	// one (warning).
	CodeAnswersOn80 = "PL7001"
	// CodeDirectAtZero: a service that is called directly and scales to zero.
	CodeDirectAtZero = "PL7002"
	// CodeNeedsKEDA: a way of scaling that only KEDA has.
	CodeNeedsKEDA = "PL7003"

	// CodeUnknownCall: an upstream or whitelist that names a service nobody
	// defines (warning).
	CodeUnknownCall = "PL8001"
	// CodeOneSided: a call that only one side declares (warning).
	CodeOneSided = "PL8002"
	// CodeEnvAddress: an address in an environment variable where nobody
	// answers (warning).
	CodeEnvAddress = "PL8003"
	// CodeLeftBehind: a reference to a project that an overlay moved away.
	CodeLeftBehind = "PL8005"
	// CodeActivator: a whitelist that lets in Knative's activator, and so everyone.
	CodeActivator = "PL8006"
	// CodeRoleService: a role of a service that nobody defines.
	CodeRoleService = "PL8004"

	// CodePlainName: a plain object without a name or namespace.
	CodePlainName = "PL9001"
	// CodePlainNull: a null inside a list of a plain object.
	CodePlainNull = "PL9002"
	// CodePlainReserved: a plain object with a label that Plumbline sets.
	CodePlainReserved = "PL9003"
	// CodePlainKnative: a plain object that Knative's own validation refuses.
	CodePlainKnative = "PL9004"
	// CodePatch: a patch of rendered objects that cannot be read, or does not
	// apply.
	CodePatch = "PL9005"
	// CodePatchTarget: a patch of rendered objects whose target is none of them.
	CodePatchTarget = "PL9006"
	// CodePatchReserved: a patch of rendered objects that changes what it must
	// not, or makes an object that Knative refuses.
	CodePatchReserved = "PL9007"
)

// OfMode tells whether a code is about the mode that a service runs in.
func OfMode(code string) bool { return strings.HasPrefix(code, "PL7") }
