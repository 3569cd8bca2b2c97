import java.io.File;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cqframework.cql.cql2elm.CqlCompilerOptions;
import org.cqframework.cql.cql2elm.CqlCompilerOptions.Options;
import org.cqframework.cql.cql2elm.CqlTranslator;
import org.cqframework.cql.cql2elm.LibraryManager;
import org.cqframework.cql.cql2elm.ModelManager;
import org.cqframework.cql.cql2elm.quick.FhirLibrarySourceProvider;

/** Translates CQL files to ELM as JSON beside them, and the FHIRHelpers that they include. Fails on any error. */
public class Translate {
    private static final String HELPERS = "/org/hl7/fhir/FHIRHelpers-4.0.1.cql";

    public static void main(String[] names) throws Exception {
        var options = new CqlCompilerOptions(Options.DisableListDemotion, Options.DisableListPromotion);
        LibraryManager libraries = new LibraryManager(new ModelManager(), options);
        libraries.getLibrarySourceLoader().registerProvider(new FhirLibrarySourceProvider());
        for (String name : names) {
            write(CqlTranslator.fromFile(new File(name), libraries), name, Path.of(name.replaceAll("\\.cql$", ".json")));
        }
        Path beside = Path.of(names[0]).resolveSibling("FHIRHelpers.json");
        try (InputStream helpers = FhirLibrarySourceProvider.class.getResourceAsStream(HELPERS)) {
            write(CqlTranslator.fromStream(helpers, libraries), HELPERS, beside);
        }
    }

    private static void write(CqlTranslator made, String name, Path to) throws Exception {
        for (var error : made.getErrors()) {
            System.err.println(name + ": " + error.getMessage() + " " + error.getLocator().toLocator());
        }
        if (!made.getErrors().isEmpty()) {
            System.exit(1);
        }
        Files.writeString(to, made.toJson());
    }
}
