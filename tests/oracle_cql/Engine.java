import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.LenientErrorHandler;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import kotlin.Pair;
import kotlinx.io.CoreKt;
import kotlinx.io.JvmCoreKt;
import org.cqframework.cql.cql2elm.CqlCompilerOptions;
import org.cqframework.cql.cql2elm.CqlCompilerOptions.Options;
import org.cqframework.cql.cql2elm.LibraryManager;
import org.cqframework.cql.cql2elm.LibrarySourceProvider;
import org.cqframework.cql.cql2elm.ModelManager;
import org.cqframework.cql.cql2elm.quick.FhirLibrarySourceProvider;
import org.hl7.elm.r1.FunctionDef;
import org.hl7.elm.r1.VersionedIdentifier;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.Resource;
import org.opencds.cqf.cql.engine.data.CompositeDataProvider;
import org.opencds.cqf.cql.engine.data.DataProvider;
import org.opencds.cqf.cql.engine.execution.CqlEngine;
import org.opencds.cqf.cql.engine.execution.Environment;
import org.opencds.cqf.cql.engine.execution.EvaluationExpressionRef;
import org.opencds.cqf.cql.engine.execution.EvaluationParams;
import org.opencds.cqf.cql.engine.fhir.model.R4FhirModelResolver;
import org.opencds.cqf.cql.engine.retrieve.RetrieveProvider;
import org.opencds.cqf.cql.engine.runtime.Date;

/**
 * Runs CQL libraries on charts with the Java engine: java Engine.java FOLDER, with the libraries as NAME.cql in the folder.
 * In: JSON lines {library, today, bundle}; out: a line {define: true, false, null, or the text of an exception} each.
 */
public class Engine {
    private static final String FHIR = "http://hl7.org/fhir";
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] given) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // the libraries of the engine write to it
        Engine engine = new Engine(Path.of(given[0]));
        var calls = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = calls.readLine(); line != null; line = calls.readLine()) {
            out.println(JSON.writeValueAsString(engine.answers(JSON.readTree(line))));
        }
        out.flush();
    }

    private final LibraryManager libraries;
    private final FhirContext fhir = FhirContext.forR4Cached();
    private final R4FhirModelResolver model = new R4FhirModelResolver(fhir);

    private Engine(Path folder) {
        fhir.setParserErrorHandler(new LenientErrorHandler(false).disableAllErrors()); // a value that is none is left out
        var options = new CqlCompilerOptions(Options.DisableListDemotion, Options.DisableListPromotion);
        libraries = new LibraryManager(new ModelManager(), options);
        LibrarySourceProvider files = wanted -> {
            try {
                byte[] text = Files.readAllBytes(folder.resolve(wanted.getId() + ".cql"));
                return CoreKt.buffered(JvmCoreKt.asSource(new ByteArrayInputStream(text)));
            } catch (java.io.IOException missing) {
                return null;
            }
        };
        libraries.getLibrarySourceLoader().registerProvider(new FhirLibrarySourceProvider());
        libraries.getLibrarySourceLoader().registerProvider(files);
    }

    /** Every define of a call; a define that throws leaves the others as they are. */
    private Map<String, Object> answers(JsonNode call) throws Exception {
        var library = new VersionedIdentifier().withId(call.get("library").asText());
        var bundle = fhir.newJsonParser().parseResource(Bundle.class, JSON.writeValueAsString(call.get("bundle")));
        List<String> names = new ArrayList<>();
        for (var define : libraries.resolveLibrary(library).getLibrary().getStatements().getDef()) {
            if (!(define instanceof FunctionDef) && !"Patient".equals(define.getName())) {
                names.add(define.getName());
            }
        }
        var today = LocalDate.parse(call.get("today").asText());
        try {
            return evaluate(library, names, bundle, today);
        } catch (RuntimeException anyOfThem) {
            Map<String, Object> found = new TreeMap<>();
            for (String name : names) {
                try {
                    found.putAll(evaluate(library, List.of(name), bundle, today));
                } catch (RuntimeException error) {
                    found.put(name, String.valueOf(error.getMessage()));
                }
            }
            return found;
        }
    }

    private Map<String, Object> evaluate(VersionedIdentifier library, List<String> names, Bundle bundle, LocalDate today) {
        Map<String, DataProvider> data = new HashMap<>();
        data.put(FHIR, new CompositeDataProvider(model, retrieve(bundle)));
        var engine = new CqlEngine(new Environment(libraries, data, null));
        var wanted = names.stream().map(EvaluationExpressionRef::new).toList();
        var patient = bundle.getEntry().stream().map(Bundle.BundleEntryComponent::getResource)
            .filter(each -> each.fhirType().equals("Patient")).findFirst().orElseThrow();
        var parameters = new EvaluationParams(
            Map.of(library, wanted),
            new Pair<>("Patient", patient.getIdElement().getIdPart()),
            Map.of("Today", new Date(today)),
            null,
            today.atStartOfDay(ZoneOffset.UTC));
        var results = engine.evaluate(parameters).getOnlyResultOrThrow();
        Map<String, Object> found = new TreeMap<>();
        for (var each : results.getExpressionResults().entrySet()) {
            Object value = each.getValue() == null ? null : each.getValue().getValue();
            if (value == null || value instanceof Boolean) {
                found.put(each.getKey(), value);
            }
        }
        return found;
    }

    /** The resources of one type; the libraries retrieve whole types and choose by themselves. */
    private static RetrieveProvider retrieve(Bundle bundle) {
        return (context, path, value, type, template, codePath, codes, valueSet, datePath, low, high, range) -> {
            List<Object> found = new ArrayList<>();
            for (var entry : bundle.getEntry()) {
                Resource resource = entry.getResource();
                if (resource != null && resource.fhirType().equals(type)) {
                    found.add(resource);
                }
            }
            return found;
        };
    }
}
